package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// A keeper answers requests once their bodies, compressed by snappy, are synced to one file, each with its length (u32,
// little-endian) in front. It looks into none of them. Requests that come within syncEvery share a sync.
type keeper struct {
	file   disk.File
	plain  sync.Pool // *bytes.Buffer
	packed sync.Pool // *[]byte

	mu      sync.Mutex
	waiting []kept
	arrived chan struct{}
}

type kept struct {
	body []byte
	done chan error
}

const (
	syncEvery = 2 * time.Millisecond
	maxBody   = 64 << 20
)

// keep serves at address until ctx ends.
func keep(ctx context.Context, address, path string) error {
	file, err := disk.OS.Create(path)
	if err != nil {
		return err
	}
	k := &keeper{file: file, arrived: make(chan struct{}, 1)}
	k.plain.New = func() any { return new(bytes.Buffer) }
	k.packed.New = func() any { return new([]byte) }
	go k.run(ctx)
	server := &http.Server{Addr: address, Handler: k, ReadHeaderTimeout: time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return file.Close()
}

// ServeHTTP implements http.Handler.
func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain, packed := k.plain.Get().(*bytes.Buffer), k.packed.Get().(*[]byte)
	defer k.plain.Put(plain)
	defer k.packed.Put(packed)
	plain.Reset()
	if _, err := plain.ReadFrom(io.LimitReader(r.Body, maxBody)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	*packed = compression.Compress((*packed)[:0], plain.Bytes(), telemetry.Snappy)
	x := kept{*packed, make(chan error, 1)}
	k.mu.Lock()
	k.waiting = append(k.waiting, x)
	k.mu.Unlock()
	select {
	case k.arrived <- struct{}{}:
	default:
	}
	if err := <-x.done; err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func (k *keeper) run(ctx context.Context) {
	out := bufio.NewWriterSize(k.file, 64<<10)
	var group []kept
	var began time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.arrived:
		}
		time.Sleep(syncEvery - time.Since(began))
		began = time.Now()
		k.mu.Lock()
		group, k.waiting = k.waiting, group[:0]
		k.mu.Unlock()
		err := k.write(out, group)
		for i := range group {
			group[i].done <- err
		}
	}
}

func (k *keeper) write(out *bufio.Writer, group []kept) error {
	for i := range group {
		var length [4]byte
		binary.LittleEndian.PutUint32(length[:], uint32(len(group[i].body)))
		_, _ = out.Write(length[:]) // Flush returns the first error
		_, _ = out.Write(group[i].body)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return k.file.Sync()
}
