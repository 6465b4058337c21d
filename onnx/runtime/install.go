package runtime

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	gort "runtime"
	"slices"
	"strings"
)

// Pinned is the release that Install puts into the user's cache.
const Pinned = "1.24.3"

// pinnedSums holds the SHA-256 of the libraries of the pinned release, as the
// npm package and the Python wheels carry them.
var pinnedSums = map[string][]string{
	"linux/amd64": {
		"92ba8e44d31b80a34f5e805076a044122c3be1fffe0d88ed790de7267b0b2682",
		"12e097b0705253189cd2cde73a091febefb7348edcfe606cd54aec010a4bab2b",
	},
	"linux/arm64": {
		"33032cb5b91c12edbf028d7c69fa40a31848d66c0095448758af237d5e0b07db",
		"34b560ca50f0ba1228a715ce3bedb14eb0fa8e9002dd43dfe083be399f67d7ad",
	},
	"darwin/arm64": {
		"76831409ce6eded92b4cb343cf422c458a60c1ea1d5f3cfa69692ab7fcc67f0f",
		"c3052e7883681252b3b388a408a3e809c0ad6aaa666c6b8d457fa1e3c3153673",
	},
}

// maxLibrary bounds what is unpacked.
const maxLibrary = 256 << 20

// ErrNoClient says that nothing is there that could fetch the library.
var ErrNoClient = errors.New("neither npm nor pip was found")

// InstallConfig says where the library comes from.
type InstallConfig struct {
	From string    // a .so, .dylib, .whl, .zip or .tgz; "" fetches with npm or pip
	Log  io.Writer // lines on what is being done; nil for none
}

// Install puts the pinned library into the user's cache, if it is not there,
// and checks that it loads. A file is kept only if its SHA-256 is one of the
// pinned ones.
func Install(ctx context.Context, c InstallConfig) (Library, error) {
	if c.Log == nil {
		c.Log = io.Discard
	}
	dir, err := CacheDir()
	if err != nil {
		return Library{}, err
	}
	target := filepath.Join(dir, Pinned, libraryNames()[0])
	if sum, err := fileSum(target); err == nil && known(sum) {
		fmt.Fprintf(c.Log, "onnxruntime %s is already in %s\n", Pinned, target)
		return usable(target)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(target), ".install-*")
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	defer os.RemoveAll(work)
	archive := c.From
	if archive == "" {
		if archive, err = fetch(ctx, work, c.Log); err != nil {
			return Library{}, fmt.Errorf("runtime: install: %w: %w", err, ErrUnavailable)
		}
	}
	file := filepath.Join(work, "library")
	if err := extract(archive, file); err != nil {
		return Library{}, fmt.Errorf("runtime: install from %q: %w", archive, err)
	}
	if err := os.Chmod(file, 0o755); err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	if err := os.Rename(file, target); err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w", err)
	}
	fmt.Fprintf(c.Log, "installed onnxruntime %s as %s\n", Pinned, target)
	return usable(target)
}

func usable(file string) (Library, error) {
	version, err := probe(file)
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w: %w", err, ErrUnavailable)
	}
	return Library{file, version, "cache"}, nil
}

func platform() string { return gort.GOOS + "/" + gort.GOARCH }

func known(sum string) bool { return slices.Contains(pinnedSums[platform()], sum) }

// fetch downloads a package that carries the library, with the first client
// that is there and succeeds.
func fetch(ctx context.Context, dir string, log io.Writer) (string, error) {
	pip := []string{"download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--dest", dir}
	for _, p := range wheelPlatforms() {
		pip = append(pip, "--platform", p)
	}
	pip = append(pip, "onnxruntime=="+Pinned)
	clients := [][]string{
		append([]string{"pip3"}, pip...), append([]string{"pip"}, pip...), append([]string{"python3", "-m", "pip"}, pip...),
		{"npm", "pack", "--silent", "--pack-destination", dir, "onnxruntime-node@" + Pinned},
	}
	failed := []error{ErrNoClient}
	for _, c := range clients {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		fmt.Fprintf(log, "fetching onnxruntime %s with %s\n", Pinned, c[0])
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

func wheelPlatforms() []string {
	switch platform() {
	case "linux/amd64":
		return []string{"manylinux_2_28_x86_64", "manylinux_2_27_x86_64"}
	case "linux/arm64":
		return []string{"manylinux_2_28_aarch64", "manylinux_2_27_aarch64"}
	}
	return []string{"macosx_14_0_arm64"}
}

// extract finds the library for this platform in an archive, or takes the file
// itself, and writes it to dst. Among several files the one whose SHA-256 is
// pinned is meant.
func extract(archive, dst string) error {
	var sums []string
	try := func(r io.Reader) (bool, error) {
		f, err := os.Create(dst)
		if err != nil {
			return false, err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, maxLibrary)); err != nil {
			return false, err
		}
		sum := hex.EncodeToString(h.Sum(nil))
		sums = append(sums, sum)
		return known(sum), f.Close()
	}
	ok, err := eachLibrary(archive, try)
	if err == nil && !ok {
		os.Remove(dst)
		err = fmt.Errorf("no library of onnxruntime %s for %s in it: expected SHA-256 %s, found %s: %w",
			Pinned, platform(), strings.Join(pinnedSums[platform()], " or "), orNothing(sums), ErrUnavailable)
	}
	return err
}

func orNothing(s []string) string {
	if len(s) == 0 {
		return "no library"
	}
	return strings.Join(s, ", ")
}

// eachLibrary calls try for every regular file that is named like the library
// until it returns true.
func eachLibrary(archive string, try func(io.Reader) (bool, error)) (bool, error) {
	named := func(name string) bool {
		return slices.ContainsFunc(append(libraryNames(), "libonnxruntime.so.*"), func(p string) bool { ok, _ := path.Match(p, path.Base(name)); return ok })
	}
	f, err := os.Open(archive)
	if err != nil {
		return false, err
	}
	defer f.Close()
	switch filepath.Ext(archive) {
	case ".whl", ".zip":
		z, err := zip.OpenReader(archive)
		if err != nil {
			return false, err
		}
		defer z.Close()
		for _, e := range z.File {
			if !e.Mode().IsRegular() || !named(e.Name) {
				continue
			}
			r, err := e.Open()
			if err != nil {
				return false, err
			}
			ok, err := try(r)
			r.Close()
			if ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case ".tgz", ".gz":
		gz, err := gzip.NewReader(f)
		if err != nil {
			return false, err
		}
		for t := tar.NewReader(gz); ; {
			e, err := t.Next()
			if err == io.EOF {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if e.Typeflag != tar.TypeReg || !named(e.Name) {
				continue
			}
			if ok, err := try(t); ok || err != nil {
				return ok, err
			}
		}
	}
	return try(f)
}

func fileSum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return "", fmt.Errorf("runtime: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
