package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// fetchProfile takes a CPU profile from the system that has just been started, and saves it in file.
func (b *bench) fetchProfile(ctx context.Context, web, file string) <-chan error {
	done := make(chan error, 1)
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", web, b.profile)
	go func() { done <- b.saveProfile(ctx, url, file) }()
	return done
}

func (b *bench) saveProfile(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(b.profile)*time.Second+time.Minute)
	defer cancel()
	for { // until it listens
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("cannot take a profile: %s, %w", resp.Status, err)
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			return os.WriteFile(file, text, 0o644)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot take a profile: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
