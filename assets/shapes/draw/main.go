// Command draw writes the data sets of the demo: images of one shape each in class
// folders, OUT/{train,test}/CLASS/NUMBER.jpg, three quarters of them in train; or, with
// -scenes, images of several shapes with their boxes and masks as a COCO data set,
// OUT/{train,val}/NUMBER.jpg and OUT/annotations, three quarters of them in train.
//
//	go run ./assets/shapes/draw -o demo/shapes             # 2400 images
//	go run ./assets/shapes/draw -o demo/noisy -noise 0.45  # the same with noise
//	go run ./assets/shapes/draw -o demo/scenes -scenes     # 80 images of several shapes
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// settings are those of the command line. A folder drawn with the same is not drawn anew.
type settings struct {
	n      int
	noise  float64
	seed   uint64
	scenes *scenes // nil: images of one shape each
}

type scenes struct {
	size    int
	classes []int
}

func (s settings) String() string {
	text := fmt.Sprintf("%d images, noise %g, seed %d\n", s.n, s.noise, s.seed)
	if s.scenes == nil {
		return text
	}
	var names []string
	for _, class := range s.scenes.classes {
		names = append(names, shapes.Names[class])
	}
	return fmt.Sprintf("scenes of %dx%d with %s, %s", s.scenes.size, s.scenes.size, strings.Join(names, ", "), text)
}

func main() {
	out := flag.String("o", "", "the folder to write")
	n := flag.Int("n", 0, "how many images; 0: 2400, or 80 scenes")
	noise := flag.Float64("noise", 0, "sd of added noise, as a fraction of full scale")
	seed := flag.Uint64("seed", 1, "another seed makes other images")
	several := flag.Bool("scenes", false, "several shapes in an image, as a COCO data set")
	size := flag.Int("size", 160, "width and height of scenes in pixels")
	classes := flag.String("classes", strings.Join(shapes.Names, ","), "the shapes of scenes")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 || *size < 32 {
		flag.Usage()
		os.Exit(2)
	}
	s := settings{n: *n, noise: *noise, seed: *seed}
	if *n == 0 {
		s.n = 2400
	}
	if *several {
		s.scenes = &scenes{size: *size, classes: named(*classes)}
		if *n == 0 {
			s.n = 80
		}
	}
	if err := draw(*out, s); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

// named are the indices of the classes of a list of names.
func named(list string) (classes []int) {
	for _, name := range strings.Split(list, ",") {
		class := slices.Index(shapes.Names, strings.TrimSpace(name))
		if class < 0 {
			fmt.Fprintf(os.Stderr, "draw: no shape %q; there are %s\n", name, strings.Join(shapes.Names, ", "))
			os.Exit(2)
		}
		classes = append(classes, class)
	}
	slices.Sort(classes)
	return slices.Compact(classes)
}

// draw writes the folder under a temporary name and renames it when it is complete.
// A folder that is already there, drawn with the same settings, is left as it is.
func draw(out string, s settings) error {
	if b, err := os.ReadFile(filepath.Join(out, ".drawn")); err == nil && string(b) == s.String() {
		fmt.Printf("%s: %s", out, s)
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
	if s.scenes != nil {
		c := shapes.COCO{Train: s.n - s.n/4, Val: s.n / 4, Seed: s.seed}
		c.Scene = shapes.SceneConfig{Width: s.scenes.size, Height: s.scenes.size, Classes: s.scenes.classes, Noise: s.noise}
		err = shapes.WriteCOCO(tmp, c)
	} else {
		err = classFolders(tmp, s)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, ".drawn"), []byte(s.String()), 0o666); err != nil {
		return err
	}
	if err := os.Rename(tmp, out); err != nil {
		return err
	}
	fmt.Printf("%s: %s", out, s)
	return nil
}

// classFolders draws images of one shape each.
func classFolders(dir string, s settings) error {
	for _, split := range []string{"train", "test"} {
		for _, class := range shapes.Names {
			if err := os.MkdirAll(filepath.Join(dir, split, class), 0o777); err != nil {
				return err
			}
		}
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if err := one(dir, i, s.noise, s.seed); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
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
