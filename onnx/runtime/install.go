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

// The releases that Install installs: Pinned for CPUs, PinnedCUDA for NVIDIA's GPUs,
// which needs the libraries of CUDA 12 and cuDNN 9.
const (
	Pinned     = "1.24.3"
	PinnedCUDA = "1.24.4"
)

// release is a release of onnxruntime for one platform.
type release struct {
	version, folder string
	pip, npm        string // the packages that contain it; "": none
	files           []releaseFile
}

// releaseFile is one of its files.
type releaseFile struct {
	name string
	sums []string // its SHA-256 in each of the packages
}

// pinned is the release that is installed on this platform.
func pinned(cuda bool) (release, error) {
	if cuda {
		if platform() != "linux/amd64" {
			return release{}, fmt.Errorf("there is no onnxruntime with CUDA for %s: %w", platform(), ErrUnavailable)
		}
		return release{PinnedCUDA, PinnedCUDA + "-cuda12", "onnxruntime-gpu", "", []releaseFile{
			{"libonnxruntime_providers_shared.so", []string{"086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"}},
			{provider, []string{"43d2eb6ba2d1c2e796f495114420c0a1e1c6a8d987dd17c6e89a211dafdbb6c4"}},
			{"libonnxruntime.so", []string{"b10825f4306b01a4951c528554f2495c4597080c63637b300669544d9c142e76"}},
		}}, nil
	}
	sums, ok := pinnedSums[platform()]
	if !ok {
		return release{}, fmt.Errorf("there is no pinned onnxruntime for %s: %w", platform(), ErrUnavailable)
	}
	return release{Pinned, Pinned, "onnxruntime", "onnxruntime-node", []releaseFile{{libraryNames()[0], sums}}}, nil
}

// pinnedSums holds the SHA-256 of the library in the npm package and in the Python
// wheels, which differ.
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

// maxFile is the largest file that is unpacked, in bytes.
const maxFile = 512 << 20

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

// in tells whether a folder has all files of the release.
func (r release) in(dir string) bool {
	for _, f := range r.files {
		sum, err := fileSum(filepath.Join(dir, f.name))
		if err != nil || !slices.Contains(f.sums, sum) {
			return false
		}
	}
	return true
}

// usable loads a library that was installed.
func usable(file string) (Library, error) {
	version, err := libraryVersion(file)
	if err != nil {
		return Library{}, fmt.Errorf("runtime: install: %w: %w", err, ErrUnavailable)
	}
	return Library{file, version, "cache"}, nil
}

func platform() string { return gort.GOOS + "/" + gort.GOARCH }

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

// wheelPlatforms are the tags of the wheels for this platform.
func wheelPlatforms() []string {
	switch platform() {
	case "linux/amd64":
		return []string{"manylinux_2_28_x86_64", "manylinux_2_27_x86_64"}
	case "linux/arm64":
		return []string{"manylinux_2_28_aarch64", "manylinux_2_27_aarch64"}
	}
	return []string{"macosx_14_0_arm64"}
}

// extract finds the release's files in an archive by their SHA-256, and writes them
// into dir. The archive may also be the library itself.
func (r release) extract(archive, dir string) error {
	var sums []string
	left := slices.Clone(r.files)
	err := eachLibrary(archive, func(content io.Reader) (bool, error) {
		file := filepath.Join(dir, ".file")
		sum, err := copySummed(file, content)
		if err != nil {
			return false, err
		}
		sums = append(sums, sum)
		at := slices.IndexFunc(left, func(f releaseFile) bool { return slices.Contains(f.sums, sum) })
		if at < 0 {
			return false, os.Remove(file)
		}
		err = os.Rename(file, filepath.Join(dir, left[at].name))
		left = slices.Delete(left, at, at+1)
		return len(left) == 0, err
	})
	if err != nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("no %s of onnxruntime %s for %s in it: expected SHA-256 %s, found %s: %w",
		left[0].name, r.version, platform(), strings.Join(left[0].sums, " or "), orNothing(sums), ErrUnavailable)
}

// copySummed writes a file and returns its SHA-256.
func copySummed(name string, r io.Reader) (string, error) {
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(r, maxFile)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), f.Close()
}

func orNothing(s []string) string {
	if len(s) == 0 {
		return "no library"
	}
	return strings.Join(s, ", ")
}

// eachLibrary calls try for each regular file in an archive that has a name of
// onnxruntime's, until try returns true. A file that is not an archive is taken for
// a library.
func eachLibrary(archive string, try func(io.Reader) (done bool, err error)) error {
	named := func(name string) bool { return strings.HasPrefix(path.Base(name), "libonnxruntime") }
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	switch filepath.Ext(archive) {
	case ".whl", ".zip":
		z, err := zip.OpenReader(archive)
		if err != nil {
			return err
		}
		defer z.Close()
		for _, e := range z.File {
			if !e.Mode().IsRegular() || !named(e.Name) {
				continue
			}
			r, err := e.Open()
			if err != nil {
				return err
			}
			done, err := try(r)
			r.Close()
			if done || err != nil {
				return err
			}
		}
		return nil
	case ".tgz", ".gz":
		gz, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		for t := tar.NewReader(gz); ; {
			e, err := t.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if e.Typeflag != tar.TypeReg || !named(e.Name) {
				continue
			}
			if done, err := try(t); done || err != nil {
				return err
			}
		}
	}
	_, err = try(f)
	return err
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
