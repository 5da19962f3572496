package agent

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// newPrepareCommand returns the verb for what must be done as the data directory's owner before the agent, which is not
// its owner, starts.
func newPrepareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prepare DIRECTORY",
		Short: "Let the group of a data directory write in it",
		Long: `Make DIRECTORY if it is not there, and let its group write in it (mode 0770).

For the init container of a DaemonSet that keeps its data on the node: kubelet makes that directory 0755 root:root, and
the agent runs as another user of group 0. The caller must own the directory; it needs no capability.`,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE:         func(_ *cobra.Command, args []string) error { return prepare(args[0]) },
	}
}

func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o770); err != nil {
		return fmt.Errorf("cannot make the data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at the data directory: %w", err)
	}
	if info.Mode().Perm()&0o070 == 0o070 {
		return nil // of someone else, perhaps
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		return fmt.Errorf("cannot let the group write in the data directory (only its owner can): %w", err)
	}
	return nil
}
