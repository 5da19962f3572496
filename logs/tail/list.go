package tail

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/braidhq/braid/logs/format"
)

// A Container is one attempt of one container.
type Container struct {
	Namespace   string
	Pod         string
	PodUID      string
	Container   string
	ContainerID string // docker trees only
	Restart     int    // -1 if unknown
	Dir         string // name of the directory that makes it unique: <namespace>_<pod>_<uid>, or docker's container id
}

// Kind says what a file's name tells of it.
type Kind uint8

// The kinds, from old to new.
const (
	Compressed Kind = iota // N.log.<suffix>.gz
	Rotated                // N.log.<suffix>
	Live                   // N.log
)

// A File is one log file under the name it had when it was listed.
type File struct {
	Container
	Path    string
	Kind    Kind
	Suffix  string // what the name has behind .log, without .gz
	Size    int64  // on disk
	ModTime time.Time
	// UnixNano is the time of its first line, 0 if there is none yet; of docker and CRI files.
	UnixNano int64

	format format.Format
	info   os.FileInfo
}

// List returns the log files below root: attempt by attempt (by directory, container, restart), the files of each from
// the oldest to the newest. It looks into the files for their order: a rotation suffix is local time and repeats when
// clocks go back. What cannot be read is left out and told in the error; the rest is still returned.
//
// A CRI root is /var/log/pods, a docker root is /var/lib/docker/containers.
func List(root string, f format.Format) ([]File, error) {
	places, err := findPlaces(root, f)
	errs := []error{err}
	var files []File
	for _, p := range places {
		found, err := listPlace(p)
		errs = append(errs, err)
		for i := range found {
			errs = append(errs, peekTime(&found[i]))
		}
		sortFiles(found)
		files = append(files, found...)
	}
	return files, errors.Join(errs...)
}

// A place is a directory with the log files of one container's attempts.
type place struct {
	dir       string
	container Container // Restart is set for docker only
	format    format.Format
}

// findPlaces lists the container directories of a tree, sorted.
func findPlaces(root string, f format.Format) ([]place, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var places []place
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if f == format.Docker {
			if e.IsDir() {
				places = append(places, place{dir: dir, container: dockerContainer(dir, e.Name()), format: f})
			}
			continue
		}
		pod, ok := ParsePodDir(e.Name())
		if !ok {
			continue
		}
		containers, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, c := range containers {
			if c.IsDir() {
				at := pod
				at.Container = c.Name()
				places = append(places, place{dir: filepath.Join(dir, c.Name()), container: at, format: f})
			}
		}
	}
	return places, errors.Join(errs...)
}

// ParsePodDir takes <namespace>_<pod>_<uid> apart.
func ParsePodDir(name string) (Container, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return Container{}, false
	}
	return Container{Namespace: parts[0], Pod: parts[1], PodUID: parts[2], Dir: name}, true
}

// listPlace returns the log files in one directory, in no order.
func listPlace(p place) ([]File, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var files []File
	errs := []error{err}
	for _, e := range entries {
		f := File{Container: p.container, Path: filepath.Join(p.dir, e.Name()), format: p.format}
		if !parseName(&f, e.Name()) {
			continue
		}
		info, err := os.Stat(f.Path)
		if errors.Is(err, os.ErrNotExist) {
			continue // renamed or deleted since
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if info.Mode().IsRegular() {
			f.info, f.Size, f.ModTime = info, info.Size(), info.ModTime()
			files = append(files, f)
		}
	}
	return files, errors.Join(errs...)
}

// parseName reads N.log[.suffix][.gz], or <id>-json.log[.n][.gz] in docker's directory <id>. Anything else, .tmp above
// all, is no log file.
func parseName(f *File, name string) bool {
	stem, suffix, rotated := strings.Cut(name, ".log.")
	if !rotated {
		var ok bool
		if stem, ok = strings.CutSuffix(name, ".log"); !ok {
			return false
		}
	}
	if f.format == format.Docker {
		if stem != f.ContainerID+"-json" {
			return false
		}
	} else {
		n, err := strconv.Atoi(stem)
		if err != nil || n < 0 || strconv.Itoa(n) != stem {
			return false
		}
		f.Restart = n
	}
	if !rotated {
		f.Kind = Live
		return true
	}
	f.Kind = Rotated
	if plain, ok := strings.CutSuffix(suffix, ".gz"); ok {
		f.Kind, suffix = Compressed, plain
	}
	f.Suffix = suffix
	return suffix != "" && !strings.HasSuffix(suffix, ".tmp")
}

// sortFiles orders the files of one place: by restart, the live file last, by the time of the first line, else by the
// time of the last write; the suffix decides only where these are equal.
func sortFiles(files []File) {
	slices.SortStableFunc(files, func(a, b File) int {
		if a.Restart != b.Restart {
			return a.Restart - b.Restart
		}
		return compareAge(&a, &b)
	})
}

func compareAge(a, b *File) int {
	if (a.Kind == Live) != (b.Kind == Live) {
		return int(a.Kind) - int(b.Kind)
	}
	if a.UnixNano != 0 && b.UnixNano != 0 && a.UnixNano != b.UnixNano {
		return compareInt64(a.UnixNano, b.UnixNano)
	}
	if a.UnixNano == 0 || b.UnixNano == 0 {
		if c := a.ModTime.Compare(b.ModTime); c != 0 {
			return c
		}
	}
	if a.format == format.Docker { // .1 is the newest
		an, _ := strconv.Atoi(a.Suffix)
		bn, _ := strconv.Atoi(b.Suffix)
		return bn - an
	}
	return strings.Compare(a.Suffix, b.Suffix)
}

func compareInt64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
