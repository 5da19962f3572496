// Command mutants proves that the tests bite: it applies each seeded fault of faults.txt to a copy of the tree, in turn,
// and some test of the named packages must fail that passes without it. A fault that survives, or that no longer applies, fails
// the run.
//
// A fault is a block of lines:
//
//	name: what goes wrong
//	file: path
//	- the exact line as it stands (without indentation; it must be there exactly once)
//	+ what stands there instead (empty: the line goes)
//	test: packages, and after them optionally -run REGEXP
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type fault struct {
	name, file, from, to string
	test                 []string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(only []string) error {
	text, err := os.ReadFile("testbed/mutants/faults.txt")
	if err != nil {
		return fmt.Errorf("cannot read the faults (run it at the top of the tree): %w", err)
	}
	faults, err := parse(string(text))
	if err != nil {
		return err
	}
	survived, sound := 0, map[string]bool{}
	for _, f := range faults {
		if len(only) > 0 && !strings.Contains(f.name, only[0]) {
			continue
		}
		if tests := strings.Join(f.test, " "); !sound[tests] {
			if out, err := goTest(f.test).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: the tests fail without the fault, so they prove nothing (are the servers up?): %w\n%s", f.name, err, out)
			}
			sound[tests] = true
		}
		begin := time.Now()
		killed, err := try(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		verdict := "killed"
		if !killed {
			verdict, survived = "SURVIVED", survived+1
		}
		fmt.Printf("%-8s %5.1fs  %s (%s)\n", verdict, time.Since(begin).Seconds(), f.name, f.file)
	}
	if survived > 0 {
		return fmt.Errorf("%d faults went unnoticed", survived)
	}
	return nil
}

func parse(text string) ([]fault, error) {
	var faults []fault
	for block := range strings.SplitSeq(text, "\n\n") {
		var f fault
		for line := range strings.SplitSeq(block, "\n") {
			switch {
			case strings.HasPrefix(line, "name: "):
				f.name = line[6:]
			case strings.HasPrefix(line, "file: "):
				f.file = line[6:]
			case strings.HasPrefix(line, "- "):
				f.from = line[2:]
			case strings.HasPrefix(line, "+"):
				f.to = strings.TrimPrefix(line[1:], " ")
			case strings.HasPrefix(line, "test: "):
				f.test = strings.Fields(line[6:])
			}
		}
		if f.name == "" {
			continue
		}
		if f.file == "" || f.from == "" || len(f.test) == 0 {
			return nil, fmt.Errorf("fault %q lacks a file, a line or a test", f.name)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// try runs f's tests with the fault laid over the tree, and reports whether one failed. A mutant that does not
// compile proves nothing and is an error.
func try(f fault) (killed bool, err error) {
	source, err := os.ReadFile(f.file)
	if err != nil {
		return false, err
	}
	mutated, err := replaceLine(string(source), f.from, f.to)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(mutated), 0o600); err != nil {
		return false, err
	}
	original, err := filepath.Abs(f.file)
	if err != nil {
		return false, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace":{%q:%q}}`, original, changed), 0o600); err != nil {
		return false, err
	}
	build := exec.Command("go", append([]string{"vet", "-overlay", overlay}, "./"+filepath.ToSlash(filepath.Dir(f.file)))...)
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("the mutant does not compile:\n%s", out)
	}
	return goTest(f.test, "-overlay", overlay).Run() != nil, nil
}

func goTest(tests []string, flags ...string) *exec.Cmd {
	return exec.Command("go", slices.Concat([]string{"test", "-count=1", "-timeout=2m"}, flags, tests)...)
}

func replaceLine(source, from, to string) (string, error) {
	lines := strings.Split(source, "\n")
	at := -1
	for i, line := range lines {
		if strings.TrimSpace(line) != from {
			continue
		}
		if at >= 0 {
			return "", fmt.Errorf("line %q stands more than once", from)
		}
		at = i
	}
	if at < 0 {
		return "", fmt.Errorf("line %q is not there any more", from)
	}
	lines[at] = to
	return strings.Join(lines, "\n"), nil
}
