package run

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// Flags are the flags of every long-running verb, in Prometheus' style.
type Flags struct {
	ConfigFile string
	LogLevel   string
	LogFormat  string
}

// Register adds the flags to cmd.
func (f *Flags) Register(cmd *cobra.Command, defaultConfig string) {
	flags := cmd.Flags()
	flags.StringVar(&f.ConfigFile, "config.file", defaultConfig, "configuration file")
	flags.StringVar(&f.LogLevel, "log.level", "info", "least severe messages to log: debug, info, warn or error")
	flags.StringVar(&f.LogFormat, "log.format", "logfmt", "format of log messages: logfmt or json")
	_ = cmd.MarkFlagFilename("config.file", "yaml", "yml")
	_ = cmd.RegisterFlagCompletionFunc("log.level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("log.format", cobra.FixedCompletions([]string{"logfmt", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// Logger makes the logger that the flags ask for.
func (f *Flags) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log.level %q is unknown: debug, info, warn or error", f.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(f.LogFormat) {
	case "logfmt":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log.format %q is unknown: logfmt or json", f.LogFormat)
}
