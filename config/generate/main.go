// Command generate writes the configuration's reference from the structs that the configuration is read into. A field's
// comment says what its key means to a user and ends in "; default …" or "; required", which become a column of their
// own. The checked-in file is what users read; tests hold that it is current and that its defaults are the program's.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the module's directory")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(root string) error {
	text, err := reference(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, output), []byte(text), 0o644)
}
