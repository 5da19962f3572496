package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	pods := flag.String("pods", "/var/log/pods", "directory of the log files")
	url := flag.String("url", "http://127.0.0.1:4318", "base of /v1/logs")
	codec := flag.String("codec", "zstd", "compression of a body: gzip, zstd or none")
	receive := flag.String("receive", "", "take requests here (host:port), and keep them in the file, in place of sending logs")
	file := flag.String("file", "floor.kept", "where requests are kept")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *receive != "" {
		if err := keep(ctx, *receive, *file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := run(*pods, *url, *codec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-ctx.Done()
}

func run(pods, url, codec string) error {
	files, err := filepath.Glob(filepath.Join(pods, "*", "*", "*.log"))
	if err != nil {
		return err
	}
	s, err := newShipper(url, codec)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := s.file(file); err != nil {
			return err
		}
	}
	return s.flush()
}
