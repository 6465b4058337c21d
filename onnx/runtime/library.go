package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	gort "runtime"
	"slices"
)

// ErrUnavailable says that the library or the device cannot be had.
var ErrUnavailable = errors.New("onnxruntime is not available")

// Variable names the library where no flag does.
const Variable = "RTX_ONNXRUNTIME"

// Library is a usable onnxruntime.
type Library struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Source  string `json:"source"` // flag, environment, program, cache or system
}

// Place is somewhere the library may lie, and what was found there.
type Place struct {
	Path, Source, Version string
	Err                   error // nil when the library can be used
}

// Find returns the first usable library: path if it is not empty, else what
// RTX_ONNXRUNTIME names, else one beside the program, in the user's cache or
// in the system's folders. One that was named is never replaced by another.
func Find(path string) (Library, error) {
	var tried []error
	for _, p := range Places(path) {
		if p.Err == nil {
			return Library{p.Path, p.Version, p.Source}, nil
		}
		tried = append(tried, p.Err)
	}
	if len(tried) == 0 {
		return Library{}, fmt.Errorf("runtime: no onnxruntime library was found: %w", ErrUnavailable)
	}
	return Library{}, fmt.Errorf("runtime: %w: %w", tried[0], ErrUnavailable)
}

// Places lists where Find looks and what lies there, in order, and ends with
// the first that is usable.
func Places(path string) []Place {
	source := "flag"
	if path == "" {
		path, source = os.Getenv(Variable), "environment"
	}
	if path != "" {
		p := Place{Path: path, Source: source}
		p.Version, p.Err = probe(path)
		return []Place{p}
	}
	var places []Place
	for _, c := range candidates() {
		if _, err := os.Stat(c.Path); err != nil {
			continue
		}
		c.Version, c.Err = probe(c.Path)
		places = append(places, c)
		if c.Err == nil {
			break
		}
	}
	return places
}

// candidates lists the files in which a library may lie.
func candidates() []Place {
	var out []Place
	add := func(source string, dirs ...string) {
		for _, d := range dirs {
			for _, pattern := range libraryNames() {
				found, _ := filepath.Glob(filepath.Join(d, pattern))
				slices.Sort(found)
				slices.Reverse(found) // the newest version first
				for _, f := range found {
					out = append(out, Place{Path: f, Source: source})
				}
			}
		}
	}
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		add("program", dir, filepath.Join(dir, "..", "lib"))
	}
	if dir, err := CacheDir(); err == nil {
		add("cache", filepath.Join(dir, "*"))
	}
	add("system", "/usr/local/lib", "/usr/lib", "/usr/lib64", "/usr/lib/"+multiarch(), "/opt/homebrew/lib", "/opt/onnxruntime/lib")
	return out
}

func multiarch() string {
	if gort.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

func libraryNames() []string {
	if gort.GOOS == "darwin" {
		return []string{"libonnxruntime.dylib", "libonnxruntime.*.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.*"}
}

// CacheDir is the folder of installed libraries, one folder a version.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("runtime: %w", err)
	}
	return filepath.Join(dir, "rtx", "onnxruntime"), nil
}
