package runtime

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile is the largest file that is unpacked, in bytes.
const maxFile = 512 << 20

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
	switch filepath.Ext(archive) {
	case ".whl", ".zip":
		return eachInZip(archive, try)
	case ".tgz", ".gz":
		return eachInTar(archive, try)
	}
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = try(f)
	return err
}

// libraryFile tells whether a file in an archive has a name of onnxruntime's.
func libraryFile(name string) bool { return strings.HasPrefix(path.Base(name), "libonnxruntime") }

func eachInZip(archive string, try func(io.Reader) (done bool, err error)) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, e := range z.File {
		if !e.Mode().IsRegular() || !libraryFile(e.Name) {
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
}

func eachInTar(archive string, try func(io.Reader) (done bool, err error)) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
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
		if e.Typeflag != tar.TypeReg || !libraryFile(e.Name) {
			continue
		}
		if done, err := try(t); done || err != nil {
			return err
		}
	}
}

// fileSum is the SHA-256 of a file, in hexadecimal.
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
