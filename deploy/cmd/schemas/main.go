// Command schemas writes schemas/*.json: from Kubernetes' published OpenAPI and the Prometheus operator's CRDs it takes the
// kinds that the chart makes and turns them into JSON Schema that refuses unknown fields. The sources come as Go modules,
// so that their checksums are verified; they are not needed to run the tests.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubernetes is the versions that the manifests are checked against: the oldest that the chart promises and the newest.
var kubernetes = []string{"v1.34.4", "v1.37.2"}

const operator = "v0.85.0"

// kinds names the definitions that a manifest may be of.
var kinds = []string{
	"io.k8s.api.core.v1.ConfigMap", "io.k8s.api.core.v1.Service", "io.k8s.api.core.v1.ServiceAccount",
	"io.k8s.api.core.v1.Secret", "io.k8s.api.core.v1.PersistentVolumeClaim", "io.k8s.api.core.v1.Namespace",
	"io.k8s.api.apps.v1.DaemonSet", "io.k8s.api.apps.v1.StatefulSet", "io.k8s.api.apps.v1.Deployment",
	"io.k8s.api.policy.v1.PodDisruptionBudget", "io.k8s.api.networking.v1.NetworkPolicy",
	"io.k8s.api.rbac.v1.ClusterRole", "io.k8s.api.rbac.v1.ClusterRoleBinding",
	"io.k8s.api.rbac.v1.Role", "io.k8s.api.rbac.v1.RoleBinding",
}

func main() {
	log.SetFlags(0)
	for _, version := range kubernetes {
		if err := writeKubernetes(version); err != nil {
			log.Fatalf("schemas of Kubernetes %s: %v", version, err)
		}
	}
	if err := writeOperator(operator); err != nil {
		log.Fatalf("schemas of the Prometheus operator %s: %v", operator, err)
	}
}

// moduleDir fetches a module and returns where its files are.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", module, err)
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", err
	}
	return got.Dir, nil
}

type object = map[string]any

func writeKubernetes(version string) error {
	dir, err := moduleDir("k8s.io/kubernetes@" + version)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		return err
	}
	var spec struct{ Definitions map[string]object }
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	taken := map[string]object{}
	roots := object{}
	for _, name := range kinds {
		definition, ok := spec.Definitions[name]
		if !ok {
			return fmt.Errorf("there is no definition %s", name)
		}
		for _, gvk := range definition["x-kubernetes-group-version-kind"].([]any) {
			roots[kindOf(gvk.(object))] = name
		}
		take(spec.Definitions, name, taken)
	}
	return write("kubernetes-"+version, roots, taken)
}

func kindOf(gvk object) string {
	version := gvk["version"].(string)
	if group := gvk["group"].(string); group != "" {
		version = group + "/" + version
	}
	return version + " " + gvk["kind"].(string)
}

// take adds the definition and all that it refers to.
func take(all map[string]object, name string, taken map[string]object) {
	if taken[name] != nil {
		return
	}
	definition := strict(all[name]).(object)
	taken[name] = definition
	eachRef(definition, func(ref string) { take(all, ref, taken) })
}

func eachRef(value any, do func(name string)) {
	switch v := value.(type) {
	case object:
		if ref, ok := v["$ref"].(string); ok {
			do(strings.TrimPrefix(ref, "#/definitions/"))
		}
		for _, child := range v {
			eachRef(child, do)
		}
	case []any:
		for _, child := range v {
			eachRef(child, do)
		}
	}
}

func writeOperator(version string) error {
	dir, err := moduleDir("github.com/prometheus-operator/prometheus-operator@" + version)
	if err != nil {
		return err
	}
	roots, taken := object{}, map[string]object{}
	for _, plural := range []string{"servicemonitors", "prometheusrules"} {
		text, err := os.ReadFile(filepath.Join(dir, "example/prometheus-operator-crd/monitoring.coreos.com_"+plural+".yaml"))
		if err != nil {
			return err
		}
		var crd struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct{ OpenAPIV3Schema object }
				}
			}
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return err
		}
		schema := strict(crd.Spec.Versions[0].Schema.OpenAPIV3Schema).(object)
		schema["properties"].(object)["metadata"] = object{"type": "object"} // held by the API server, not by the CRD
		roots[crd.Spec.Group+"/"+crd.Spec.Versions[0].Name+" "+crd.Spec.Names.Kind] = crd.Spec.Names.Kind
		taken[crd.Spec.Names.Kind] = schema
	}
	return write("prometheus-operator-"+version, roots, taken)
}

// dropped are keywords that say nothing about what is valid.
var dropped = []string{"description", "default", "format", "nullable", "x-kubernetes-group-version-kind"}

// strict copies a schema without its words, with int-or-string as what it is on the wire, and closed to unknown fields.
func strict(value any) any {
	switch v := value.(type) {
	case object:
		return strictObject(v)
	case []any:
		list := make([]any, len(v))
		for i, child := range v {
			list[i] = strict(child)
		}
		return list
	}
	return value
}

func strictObject(v object) object {
	if v["format"] == "int-or-string" || v["x-kubernetes-int-or-string"] == true {
		either := object{"type": []any{"integer", "string"}}
		if pattern, ok := v["pattern"]; ok {
			either["pattern"] = pattern
		}
		return either
	}
	copied := object{}
	for key, child := range v {
		if _, isSchema := child.(object); key == "properties" {
			properties := object{}
			for name, property := range child.(object) {
				properties[name] = strict(property)
			}
			copied[key] = properties
		} else if (slices.Contains(dropped, key) && !isSchema) || strings.HasPrefix(key, "x-kubernetes-") {
			continue
		} else {
			copied[key] = strict(child)
		}
	}
	_, open := v["additionalProperties"]
	if _, ok := v["properties"]; ok && !open && v["x-kubernetes-preserve-unknown-fields"] != true {
		copied["additionalProperties"] = false
	}
	return copied
}

// write puts every definition on a line of its own.
func write(name string, roots object, definitions map[string]object) error {
	if quantity, ok := definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]; ok {
		quantity["type"] = []any{"string", "number"}
		quantity["pattern"] = `^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$`
	}
	var b strings.Builder
	kinds, err := json.Marshal(roots)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "{\n\"$schema\": \"http://json-schema.org/draft-07/schema#\",\n\"kinds\": %s,\n\"definitions\": {\n", kinds)
	for i, name := range slices.Sorted(maps.Keys(definitions)) {
		text, err := json.Marshal(definitions[name])
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "%q: %s", name, text)
	}
	b.WriteString("\n}\n}\n")
	file := filepath.Join("schemas", name+".json")
	log.Printf("%s: %d kinds, %d definitions, %d bytes", file, len(roots), len(definitions), b.Len())
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
