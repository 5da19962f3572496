package tail

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dockerContainer names the container of a directory of /var/lib/docker/containers by the labels that Kubernetes'
// docker shims put on it, or by docker's own name. A file that cannot be read (it is being replaced, or belongs to
// another version) costs the names, never the lines.
func dockerContainer(dir, id string) Container {
	c := Container{ContainerID: id, Container: id, Restart: -1, Dir: id}
	data, err := os.ReadFile(filepath.Join(dir, "config.v2.json"))
	if err != nil {
		return c
	}
	var config struct {
		Name   string
		Config struct{ Labels map[string]string }
	}
	if json.Unmarshal(data, &config) != nil {
		return c
	}
	if name := strings.TrimPrefix(config.Name, "/"); name != "" {
		c.Container = name
	}
	labels := config.Config.Labels
	if name := labels["io.kubernetes.container.name"]; name != "" {
		c.Container = name
		c.Namespace, c.Pod = labels["io.kubernetes.pod.namespace"], labels["io.kubernetes.pod.name"]
		c.PodUID = labels["io.kubernetes.pod.uid"]
		if n, err := strconv.Atoi(labels["annotation.io.kubernetes.container.restartCount"]); err == nil {
			c.Restart = n
		}
	}
	return c
}
