package listen

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// A Config says where to listen. In YAML it is "host:port", or a mapping with the keys address, insecure and
// max_connections.
type Config struct {
	// Address is host:port; port 0 takes a free one, an empty host means every address of the machine.
	Address string
	// Insecure is the explicit word needed to listen on an address that other machines can reach.
	Insecure bool
	// MaxConnections bounds the connections open at once; 0 is no bound.
	MaxConnections int
}

// UnmarshalYAML reads a scalar or a mapping; unknown and repeated keys are errors with their line.
func (c *Config) UnmarshalYAML(n *yaml.Node) error {
	*c = Config{}
	switch n.Kind {
	case yaml.ScalarNode:
		c.Address = n.Value
	case yaml.MappingNode:
		if err := c.unmarshalMapping(n); err != nil {
			return err
		}
	default:
		return fmt.Errorf("line %d: a listener is \"host:port\" or a mapping with address, insecure, max_connections", n.Line)
	}
	if c.Address == "" {
		return fmt.Errorf("line %d: a listener needs an address", n.Line)
	}
	if c.MaxConnections < 0 {
		return fmt.Errorf("line %d: max_connections is negative", n.Line)
	}
	return nil
}

func (c *Config) unmarshalMapping(n *yaml.Node) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if seen[key.Value] {
			return fmt.Errorf("line %d: key %q is there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		var err error
		switch key.Value {
		case "address":
			err = value.Decode(&c.Address)
		case "insecure":
			err = value.Decode(&c.Insecure)
		case "max_connections":
			err = value.Decode(&c.MaxConnections)
		default:
			err = fmt.Errorf("line %d: unknown key %q of a listener (address, insecure, max_connections)", key.Line, key.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
