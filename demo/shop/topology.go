package shop

import (
	"encoding/json"
	"fmt"
	"os"
)

// Names lists the services in the order in which requests reach them.
func Names() []string { return []string{"frontend", "catalog", "cart", "checkout", "payment"} }

// A Topology is what every service is told.
type Topology struct {
	OTLP      string    `json:"otlp"` // base URL of the agent's OTLP receiver
	Cluster   string    `json:"cluster"`
	Node      string    `json:"node"`
	Namespace string    `json:"namespace"`
	Services  []Service `json:"services"`
}

// A Service is one service's place: its name is also its container's.
type Service struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port it listens on
	Pod     string `json:"pod"`
	PodUID  string `json:"pod_uid"`
	Ledger  string `json:"ledger"` // file; empty: it keeps none
}

// Find returns the service called name.
func (t *Topology) Find(name string) (Service, error) {
	for _, s := range t.Services {
		if s.Name == name {
			return s, nil
		}
	}
	return Service{}, fmt.Errorf("the topology has no service %q", name)
}

// Write writes t to the file path.
func (t *Topology) Write(path string) error {
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the topology: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the topology: %w", err)
	}
	return nil
}

// ReadTopology reads what [Topology.Write] wrote.
func ReadTopology(path string) (*Topology, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the topology: %w", err)
	}
	t := new(Topology)
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("cannot read the topology %s: %w", path, err)
	}
	return t, nil
}
