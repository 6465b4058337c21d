package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	gort "runtime"
	"slices"
)

// ErrUnavailable is wrapped by errors that say that there is no library, or none
// that can be used, or that there is no device of the kind that was asked for.
var ErrUnavailable = errors.New("onnxruntime is not available")

// Variable is the environment variable that names the library.
const Variable = "RTX_ONNXRUNTIME"

// Library is a usable onnxruntime.
type Library struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Source  string `json:"source"` // flag, environment, program, cache or system
}

// Place is a file that may be the library, and what was found out about it.
type Place struct {
	Path, Source, Version string
	Err                   error // nil where the library can be used
}

// Find returns the first usable library: path if it is not empty, else the file
// that RTX_ONNXRUNTIME names, else one beside the program, in the user's cache or
// in the system's folders. Where a file was named and cannot be used, that is an
// error: no other is looked for.
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

// Places lists the files that Find looks at, in order, up to the first that is
// usable.
func Places(path string) []Place {
	source := "flag"
	if path == "" {
		path, source = os.Getenv(Variable), "environment"
	}
	if path != "" {
		p := Place{Path: path, Source: source}
		p.Version, p.Err = libraryVersion(path)
		return []Place{p}
	}
	var places []Place
	for _, c := range candidates() {
		if _, err := os.Stat(c.Path); err != nil {
			continue
		}
		c.Version, c.Err = libraryVersion(c.Path)
		places = append(places, c)
		if c.Err == nil {
			break
		}
	}
	return places
}

// candidates lists the files that may be a library, and perhaps do not exist.
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

// multiarch is the name of the folder of libraries on Debian and Ubuntu.
func multiarch() string {
	if gort.GOARCH == "arm64" {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// libraryNames are the patterns of the names that the library has here, that of
// the installed one first.
func libraryNames() []string {
	if gort.GOOS == "darwin" {
		return []string{"libonnxruntime.dylib", "libonnxruntime.*.dylib"}
	}
	return []string{"libonnxruntime.so", "libonnxruntime.so.*"}
}

// CacheDir is the folder in the user's cache where Install puts libraries, each
// version in a folder of its own.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("runtime: %w", err)
	}
	return filepath.Join(dir, "rtx", "onnxruntime"), nil
}
