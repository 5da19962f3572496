package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/braidhq/braid/config"
)

// A support bundle is a tar.gz with one directory of exhibits, each a file of its name, behind a manifest.
const (
	bundleFormat = 1
	bundleDir    = "braid-support"
	manifestName = "manifest.json"
	maxBundle    = 1 << 30 // decompressed
)

// write writes the bundle, readable for its owner only; an older file of that name stays until the new one is whole.
func (e *caseFile) write(file string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write the support bundle: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(file), ".braid-support-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	zipped := gzip.NewWriter(f)
	archive := tar.NewWriter(zipped)
	manifest, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	put := func(name string, body []byte) error {
		header := &tar.Header{Name: path.Join(bundleDir, name), Mode: 0o600, Size: int64(len(body)), ModTime: e.Created}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(body)
		return err
	}
	if err := put(manifestName, append(manifest, '\n')); err != nil {
		return err
	}
	for _, x := range e.Exhibits {
		body := x.body
		if !strings.HasSuffix(x.Name, ".gz") { // a label's value may be an URL with a token
			body = []byte(config.RedactURLs(string(body)))
		}
		if err := put(x.Name, body); err != nil {
			return err
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// readBundle reads what write has written. Files that the manifest does not name are passed by.
func readBundle(file string) (*caseFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the support bundle: %w", err)
	}
	defer f.Close()
	e, bodies, err := readArchive(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read the support bundle %s: %w", file, err)
	}
	for _, x := range e.Exhibits {
		x.body = bodies[x.Name]
	}
	if bodies[firstName] == nil || bodies[secondName] == nil {
		return nil, fmt.Errorf("cannot read the support bundle %s: it lacks %s or %s", file, firstName, secondName)
	}
	return e, nil
}

func readArchive(r io.Reader) (*caseFile, map[string][]byte, error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, nil, err
	}
	e, bodies := &caseFile{}, map[string][]byte{}
	archive := tar.NewReader(io.LimitReader(unzipped, maxBundle))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		dir, name := path.Split(header.Name)
		if header.Typeflag != tar.TypeReg || path.Clean(dir) != bundleDir {
			continue
		}
		if header.Size > maxExhibit {
			return nil, nil, fmt.Errorf("%s is too large", header.Name)
		}
		if bodies[name], err = io.ReadAll(archive); err != nil {
			return nil, nil, err
		}
	}
	manifest, ok := bodies[manifestName]
	if !ok {
		return nil, nil, errors.New("it has no " + path.Join(bundleDir, manifestName))
	}
	if err := json.Unmarshal(manifest, e); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if e.Format != bundleFormat {
		return nil, nil, fmt.Errorf("it has format %d, and this braid reads format %d", e.Format, bundleFormat)
	}
	return e, bodies, nil
}
