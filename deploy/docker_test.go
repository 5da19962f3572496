package deploy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// An image is what a Dockerfile's last stage says, as BuildKit reads it, and how its program is built.
type image struct {
	from       string
	build      string // the shell command of the stage before that runs "go build"
	copies     map[string]copied
	user       string
	entrypoint []string
}

// copied is where a file of an image comes from in the stage before, and whose it is.
type copied struct{ from, owner string }

func readDockerfile(file string) (*image, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		return nil, err
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	last := stages[len(stages)-1]
	i := &image{from: last.BaseName, copies: map[string]copied{}}
	for _, command := range stages[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok && strings.Contains(strings.Join(run.CmdLine, " "), "go build") {
			i.build = strings.Join(run.CmdLine, " ")
		}
	}
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			i.copies[c.DestPath] = copied{c.SourcePaths[0], c.Chown}
		case *instructions.UserCommand:
			i.user = c.User
		case *instructions.EntrypointCommand:
			i.entrypoint = c.CmdLine
		}
	}
	return i, nil
}

func TestImagesHaveOneStaticProgramAndNoRoot(t *testing.T) {
	for file, want := range map[string]image{
		"docker/braid.Dockerfile":       {user: "65534:65534", entrypoint: []string{"/braid"}},
		"docker/braid-agent.Dockerfile": {user: "65534:0", entrypoint: []string{"/braid-agent"}},
	} {
		i, err := readDockerfile(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if i.from != "scratch" || i.user != want.user || !slices.Equal(i.entrypoint, want.entrypoint) {
			t.Errorf("%s: from %s, user %s, entry point %s", file, i.from, i.user, i.entrypoint)
		}
		if !strings.Contains(i.build, "CGO_ENABLED=0") {
			t.Errorf("%s builds a program that needs a C library: %s", file, i.build)
		}
		if _, ok := i.copies[want.entrypoint[0]]; !ok {
			t.Errorf("%s has no %s", file, want.entrypoint[0])
		}
		if _, ok := i.copies["/etc/ssl/certs/ca-certificates.crt"]; !ok {
			t.Errorf("%s has no CA certificates", file)
		}
	}
}
