package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoClient says that there is no program to fetch the library with.
var ErrNoClient = errors.New("neither npm nor pip was found")

// InstallConfig says which library is wanted and where it comes from.
type InstallConfig struct {
	CUDA bool      // the library for NVIDIA's GPUs
	From string    // a .so, .dylib, .whl, .zip or .tgz file; "": fetched with pip or npm
	Log  io.Writer // gets a line about each step; nil: none
}

// Install puts the pinned release into the user's cache, unless it is there, and
// checks that it loads. Files whose SHA-256 is not the pinned one are refused.
func Install(ctx context.Context, c InstallConfig) (Library, error) {
	if c.Log == nil {
		c.Log = io.Discard
	}
	r, err := pinned(c.CUDA)
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	dir, err := CacheDir()
	if err != nil {
		return Library{}, err
	}
	dir = filepath.Join(dir, r.folder)
	target := filepath.Join(dir, libraryNames()[0])
	if r.in(dir) {
		fmt.Fprintf(c.Log, "onnxruntime %s is already in %s\n", r.version, target)
		return usable(target)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	work, err := os.MkdirTemp(dir, ".install-*")
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	defer os.RemoveAll(work)
	archive := c.From
	if archive == "" {
		if archive, err = r.fetch(ctx, work, c.Log); err != nil {
			return Library{}, fmt.Errorf("runtime: install: %w: %w", err, ErrUnavailable)
		}
	}
	if err := r.extract(archive, work); err != nil {
		return Library{}, fmt.Errorf("runtime: install from %q: %w", archive, err)
	}
	for _, f := range r.files { // the library itself comes last: with it the installation is complete
		file := filepath.Join(work, f.name)
		if err := os.Chmod(file, 0o755); err != nil {
			return Library{}, fmt.Errorf("runtime: install: %w", err)
		}
		if err := os.Rename(file, filepath.Join(dir, f.name)); err != nil {
			return Library{}, fmt.Errorf("runtime: install: %w", err)
		}
	}
	fmt.Fprintf(c.Log, "installed onnxruntime %s as %s\n", r.version, target)
	return usable(target)
}

// usable loads a library that was installed.
func usable(file string) (Library, error) {
	version, err := libraryVersion(file)
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w: %w", err, ErrUnavailable)
	}
	return Library{file, version, "cache"}, nil
}

// fetch downloads a package that contains the library, with the first program that
// is there and succeeds.
func (r release) fetch(ctx context.Context, dir string, log io.Writer) (string, error) {
	pip := []string{"download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--dest", dir}
	for _, p := range wheelPlatforms() {
		pip = append(pip, "--platform", p)
	}
	pip = append(pip, r.pip+"=="+r.version)
	clients := [][]string{append([]string{"pip3"}, pip...), append([]string{"pip"}, pip...), append([]string{"python3", "-m", "pip"}, pip...)}
	if r.npm != "" {
		clients = append(clients, []string{"npm", "pack", "--silent", "--pack-destination", dir, r.npm + "@" + r.version})
	}
	failed := []error{ErrNoClient}
	for _, c := range clients {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		fmt.Fprintf(log, "fetching %s %s with %s\n", r.pip, r.version, c[0])
		cmd := exec.CommandContext(ctx, c[0], c[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		found, _ := filepath.Glob(filepath.Join(dir, "onnxruntime*"))
		if err == nil && len(found) == 1 {
			return found[0], nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if failed[0] == ErrNoClient {
			failed = nil
		}
		failed = append(failed, fmt.Errorf("%s: %v: %s", c[0], err, lastLine(string(out))))
	}
	return "", errors.Join(failed...)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
