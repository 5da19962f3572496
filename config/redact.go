package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// removed stands for a value that is not shown.
const removed = "<removed>"

// A value is shown if its key is known to be harmless; a list of secret keys would have to know every backend's. Numbers,
// durations and sizes are shown under every key but those that secretKey matches.
var (
	harmless = regexp.MustCompile(`^(cluster|node|data_dir|path|format|name|type|url|urls|address|listen|http|grpc|web|histograms|dimensions|exemplars|` +
		`logs_data_stream|traces_data_stream|dead_letter_data_stream|compression|signals|sampling|server_name|job_name|metrics_path|scheme|` +
		`source_labels|target_label|action|regex|separator|role|names|files|targets|protobuf_message|scrape_protocols|level|.+_files?)$`)
	secretKey = regexp.MustCompile(`(?i)pass|secret|token|credential|key|auth|cookie|header|param|user`)
	plainText = regexp.MustCompile(`^[0-9.]+ ?(ns|us|µs|ms|s|m|h|d|w|y|B|[KMGT]i?B)?$`)
)

// maxSegment is the length from which on a segment of a URL's path may be a token.
const maxSegment = 16

// Redact returns a configuration as it may be shown to others: its structure, and the values that say how things are
// wired. Comments and everything that is or might be a secret are left out, inside URLs too; files are named. A ${NAME} is
// not replaced by its value.
func Redact(text []byte) ([]byte, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // whose text may quote the file
			return nil, errors.New("cannot show the configuration: it is no YAML (braid check says where)")
		}
		redact(&doc, "", false)
		if err := encoder.Encode(&doc); err != nil {
			return nil, fmt.Errorf("cannot show the configuration: %w", err)
		}
	}
	return out.Bytes(), encoder.Close()
}

// redact edits n, which lies under key. With hide nothing below it is shown: what has an anchor may be meant for elsewhere.
func redact(n *yaml.Node, key string, hide bool) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	hide = hide || n.Anchor != ""
	n.Anchor = ""
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			name.HeadComment, name.LineComment, name.FootComment, name.Anchor = "", "", "", ""
			if name.Kind != yaml.ScalarNode {
				*name = yaml.Node{Kind: yaml.ScalarNode, Value: removed}
			}
			below := hide || secretKey.MatchString(name.Value) && !strings.HasSuffix(name.Value, "_file")
			redact(n.Content[i+1], name.Value, below)
		}
	case yaml.ScalarNode:
		if n.Tag != "!!null" && (hide || !shown(n, key)) {
			*n = yaml.Node{Kind: yaml.ScalarNode, Value: removed}
			return
		}
		n.Value = RedactURLs(n.Value)
	case yaml.AliasNode:
		*n = yaml.Node{Kind: yaml.ScalarNode, Value: removed}
	default:
		for _, c := range n.Content {
			redact(c, key, hide)
		}
	}
}

func shown(n *yaml.Node, key string) bool {
	return n.Tag == "!!bool" || plainText.MatchString(n.Value) || harmless.MatchString(key) && !strings.Contains(n.Value, "\n")
}

var inText = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>\\]+`)

// RedactURLs returns text whose URLs have no user, password, query or fragment, and no long segment in their path.
func RedactURLs(text string) string {
	return inText.ReplaceAllStringFunc(text, func(s string) string {
		u, err := url.Parse(s)
		if err != nil {
			return removed
		}
		if u.User != nil {
			u.User = url.User("removed")
		}
		if u.RawQuery != "" {
			u.RawQuery = "removed"
		}
		u.Fragment, u.RawFragment, u.RawPath = "", "", ""
		segments := strings.Split(u.Path, "/")
		for i, segment := range segments {
			if len(segment) > maxSegment {
				segments[i] = "removed"
			}
		}
		u.Path = strings.Join(segments, "/")
		return u.String()
	})
}
