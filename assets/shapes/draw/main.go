// Command draw writes the demo's images into class folders:
// OUT/{train,test}/CLASS/NUMBER.jpg, three quarters of them in train.
//
//	go run ./assets/shapes/draw -o demo/shapes             # 2400 images
//	go run ./assets/shapes/draw -o demo/noisy -noise 0.45  # the same with noise
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/assets/shapes"
)

func main() {
	out := flag.String("o", "", "the folder to write")
	n := flag.Int("n", 2400, "how many images")
	noise := flag.Float64("noise", 0, "sd of added noise, as a fraction of full scale")
	seed := flag.Uint64("seed", 1, "another seed makes other images")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := draw(*out, *n, *noise, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

// draw writes the folder under a temporary name and renames it when it is complete.
// A folder that is already there, drawn with the same settings, is left as it is.
func draw(out string, n int, noise float64, seed uint64) error {
	settings := fmt.Sprintf("%d images, noise %g, seed %d\n", n, noise, seed)
	if b, err := os.ReadFile(filepath.Join(out, ".drawn")); err == nil && string(b) == settings {
		fmt.Printf("%s: %s", out, settings)
		return nil
	}
	if _, err := os.Stat(out); err == nil {
		return fmt.Errorf("%s is there and holds something else", out)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(out), ".draw-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	for _, split := range []string{"train", "test"} {
		for _, class := range shapes.Names {
			if err := os.MkdirAll(filepath.Join(tmp, split, class), 0o777); err != nil {
				return err
			}
		}
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := one(tmp, i, noise, seed); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	if err := os.WriteFile(filepath.Join(tmp, ".drawn"), []byte(settings), 0o666); err != nil {
		return err
	}
	if err := os.Rename(tmp, out); err != nil {
		return err
	}
	fmt.Printf("%s: %s", out, settings)
	return nil
}

func one(dir string, i int, noise float64, seed uint64) error {
	class, number := i%len(shapes.Names), i/len(shapes.Names)
	split := "train"
	if number%4 == 3 {
		split = "test"
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, shapes.Draw(class, seed<<32+uint64(i), shapes.Config{Noise: noise}), &jpeg.Options{Quality: 95}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, split, shapes.Names[class], fmt.Sprintf("%04d.jpg", number)), b.Bytes(), 0o666)
}
