package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// Versions of Kubernetes that manifests are checked against, oldest first.
var Versions = []string{"v1.34.4", "v1.37.2"}

// Operator is the version of the Prometheus operator whose kinds are checked.
const Operator = "v0.85.0"

// A Schema knows the kinds of one or more API servers, closed to unknown fields.
type Schema struct {
	kinds map[string]*jsonschema.Schema // by "apiVersion Kind"
}

// LoadSchema reads files of schemas/.
func LoadSchema(files ...string) (*Schema, error) {
	s := &Schema{kinds: map[string]*jsonschema.Schema{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read a schema: %w", err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read the schema %s: %w", file, err)
		}
		compiler := jsonschema.NewCompiler()
		url := "mem:///" + filepath.Base(file)
		if err := compiler.AddResource(url, document); err != nil {
			return nil, err
		}
		var index struct{ Kinds map[string]string }
		if err := json.Unmarshal(text, &index); err != nil {
			return nil, err
		}
		for kind, definition := range index.Kinds {
			if s.kinds[kind], err = compiler.Compile(url + "#/definitions/" + definition); err != nil {
				return nil, fmt.Errorf("cannot compile the schema of %s: %w", kind, err)
			}
		}
	}
	return s, nil
}

// KubernetesSchema is the schema of a Kubernetes version with the operator's kinds; dir is this package's directory.
func KubernetesSchema(dir, version string) (*Schema, error) {
	return LoadSchema(
		filepath.Join(dir, "schemas/kubernetes-"+version+".json"),
		filepath.Join(dir, "schemas/prometheus-operator-"+Operator+".json"),
	)
}

// Check validates every object of a manifest. A key that is there twice is an error too.
func (s *Schema) Check(manifest string) error {
	var errs []error
	for _, document := range Documents(manifest) {
		if err := s.checkDocument(document); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Schema) checkDocument(document string) error {
	text, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return fmt.Errorf("cannot read an object: %w\n%s", err, document)
	}
	if string(text) == "null" {
		return nil // comments only
	}
	object, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("cannot read an object's head: %w", err)
	}
	schema, ok := s.kinds[head.APIVersion+" "+head.Kind]
	if !ok {
		return fmt.Errorf("no schema knows the kind %q of %q", head.APIVersion+" "+head.Kind, head.Metadata.Name)
	}
	if head.Metadata.Name == "" {
		return fmt.Errorf("an object of kind %s has no name", head.Kind)
	}
	if err := schema.Validate(object); err != nil {
		return fmt.Errorf("%s %s: %s", head.Kind, head.Metadata.Name, strings.TrimSpace(err.Error()))
	}
	return nil
}
