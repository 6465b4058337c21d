package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// picture is a PNG file of a pattern of its own.
func picture(t *testing.T, w, h, pattern int, level png.CompressionLevel) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := x*90/w, y*60/h // so that twice the size has every pixel four times
			v = (u*7*(pattern+1)/90*37 + v*5*(pattern*pattern+1)/60*53) % 256
			m.SetNRGBA(x, y, color.NRGBA{uint8(v), uint8(255 - v), uint8(v / 2), 255})
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: level}).Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// with is an image of a set, whose file holds some data.
func with(path, split string, w, h int, file []byte, objects ...Object) Image {
	img := Image{Name: path, Path: path, Split: split, Width: w, Height: h, Objects: objects}
	if file != nil {
		img.Read = func(dst []byte) ([]byte, error) { return append(dst, file...), nil }
		img.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file)), nil }
	}
	return img
}

func at(class int, x1, y1, x2, y2 float64) Object {
	return Object{Class: class, Box: [4]float64{x1, y1, x2, y2}, Area: (x2 - x1) * (y2 - y1)}
}

func TestCheckCounts(t *testing.T) {
	file := picture(t, 200, 100, 0, png.DefaultCompression)
	crowd := at(0, 0, 0, 150, 90)
	crowd.Crowd = true
	hard := at(1, 10, 10, 20, 20)
	hard.Difficult, hard.Mask = true, &Mask{}
	s := &Set{
		Classes: []Class{{3, "cat"}, {4, "dog"}, {5, "cow"}, {6, "none"}},
		Images: []Image{
			with("1.png", "train", 200, 100, file, at(0, 10, 10, 41, 42), at(0, 50, 10, 146, 80), crowd),
			with("2.png", "train", 200, 100, nil, hard, at(2, 30, 30, 62, 62)),
			with("3.png", "train", 200, 100, file),
			with("4.png", "val", 200, 100, []byte("no image"), at(0, 1, 2, 97, 98), at(1, 1, 1, 5, 5)),
			with("5.png", "test", 200, 100, file),
		},
	}
	r, err := s.Check(t.Context(), CheckConfig{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Splits {
		r.Splits[i].PerImage = Histogram{}
	}
	if want := []SplitCount{
		{Name: "train", Images: 3, Lost: 1, Empty: 1, Objects: 5, Crowds: 1, Difficult: 1, Masks: 1, Most: 3},
		{Name: "val", Images: 1, Unreadable: 1, Objects: 2, Most: 2}, {Name: "test", Images: 1, Empty: 1},
	}; !reflect.DeepEqual(r.Splits, want) {
		t.Errorf("splits\n%+v, want\n%+v", r.Splits, want)
	}
	if want := []ClassCount{
		{3, "cat", 4, 2, []int{3, 1, 0}, 1, 1, 2, ""}, {4, "dog", 2, 2, []int{1, 1, 0}, 2, 0, 0, ""},
		{5, "cow", 1, 1, []int{1, 0, 0}, 0, 1, 0, "train"}, {6, "none", 0, 0, []int{0, 0, 0}, 0, 0, 0, ""},
	}; !reflect.DeepEqual(r.Classes, want) {
		t.Errorf("classes\n%+v, want\n%+v", r.Classes, want)
	}
	b := r.Boxes
	if b.Objects != 7 || b.Small != 3 || b.Medium != 2 || b.Large != 2 || b.Side[1] != 32 || b.Side[0] != 4 {
		t.Errorf("sizes %+v", b)
	}
	if got := fmt.Sprint(b.Aspect.Counts); got != "[0 0 0 0 0 0 5 1 1 0 0 0 0]" {
		t.Errorf("aspect ratios %v in %v", got, b.Aspect.Edges)
	}
	sum := 0
	for _, n := range b.Relative.Counts {
		sum += n
	}
	if sum != 7 || b.Relative.Counts[1] != 1 { // 4x4 of 200x100 is .028
		t.Errorf("relative sizes %v", b.Relative)
	}
	if r.Unusable() != nil {
		t.Errorf("unusable: %v", r.Unusable())
	}
	for i := range s.Images {
		s.Images[i].Objects = nil
	}
	for what, images := range map[string][]Image{"an object": s.Images, "can be read": {s.Images[1], with("x", "", 1, 1, []byte("x"), at(0, 0, 0, 1, 1))}} {
		s := &Set{Classes: s.Classes, Images: images}
		if r, err = s.Check(t.Context(), CheckConfig{}); err != nil {
			t.Fatal(err)
		}
		if err := r.Unusable(); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, expected to hear of %q", err, what)
		}
	}
}

func TestHistogram(t *testing.T) {
	h := newHistogram(0, 1, 2, 5)
	for _, v := range []float64{-1, 0, .5, 1, 2, 4.9, 5, 100} {
		h.add(v)
	}
	if !slices.Equal(h.Counts, []int{3, 1, 4}) {
		t.Errorf("%v", h)
	}
}

func TestOddBoxes(t *testing.T) {
	crowd := at(0, 0, 0, 100, 100)
	crowd.Crowd = true
	s := &Set{Classes: []Class{{1, "cat"}, {2, "dog"}}, Images: []Image{
		with("1", "", 100, 100, nil, at(0, 0, 0, 100, 100), at(0, 10, 10, 50, 50), at(1, 10, 10, 50, 50), at(0, 10, 10, 50, 51), crowd),
		with("2", "", 100, 100, nil, at(0, 5, 5, 5.5, 60), at(0, 5, 5, 7, 60), at(0, 0, 0, 100, 98), at(1, 20, 20, 40, 40), at(1, 20, 20, 40, 41.2)),
		with("crowd first", "", 100, 100, nil, crowd, at(0, 0, 0, 100, 98)),
		with("3", "", 0, 0, nil, at(0, 1, 1, 21, 3), at(0, 1, 1, 22, 3), at(1, 0.8, 1, 21.5, 3)),
	}}
	var got []string
	for _, o := range s.oddBoxes() {
		if o.Count != len(o.Where) {
			t.Errorf("%s: %d and %d", o.Kind, o.Count, len(o.Where))
		}
		if !strings.Contains(o.Kind.Text(), "s) ") {
			t.Errorf("%s: %q", o.Kind, o.Kind.Text())
		}
		for _, w := range o.Where {
			got = append(got, fmt.Sprint(o.Kind, " ", s.Images[w.Image].Name, " ", w.Object, " ", w.Other))
		}
	}
	want := []string{"thin 2 0 -1", "whole 1 0 -1", "elongated 2 1 -1", "elongated 3 1 -1", "elongated 3 2 -1", "twice 1 3 1", "twice 3 1 0", "classes 1 2 1", "classes 3 2 0"}
	if !slices.Equal(got, want) {
		t.Errorf("odd boxes\n%q, want\n%q", got, want)
	}
}

func TestBase(t *testing.T) {
	for _, c := range []struct {
		name       string
		from, over float64 // of boxes that touch both borders
		want       string
	}{
		{"as they should be", 0, 100, ""}, {"from 1", 1, 100, "from 1"}, {"last pixels", 0, 99, "too small"}, {"inside", 1, 99, "pixel before"}, {"anywhere", 7, 90, ""},
	} {
		s := &Set{Classes: []Class{{1, "cat"}}}
		for range 12 {
			s.Images = append(s.Images, with("1", "", 100, 100, nil, at(0, c.from, 30, c.over, 60)))
		}
		if got := s.base().Guess; (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	few := &Set{Classes: []Class{{1, "cat"}}, Images: []Image{with("1", "", 100, 100, nil, at(0, 1, 1, 50, 50))}}
	if got := few.base().Guess; got != "" {
		t.Errorf("one box makes %q", got)
	}
}

func TestCopies(t *testing.T) {
	a, b := picture(t, 90, 60, 1, png.BestSpeed), picture(t, 90, 60, 1, png.BestCompression)
	if bytes.Equal(a, b) {
		t.Fatal("the files are equal")
	}
	larger := picture(t, 180, 120, 1, png.BestSpeed)
	plain, err := png.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	var lossy bytes.Buffer
	if err := jpeg.Encode(&lossy, plain, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	s := &Set{Classes: []Class{{1, "cat"}}}
	for _, f := range []struct {
		path, split string
		data        []byte
	}{
		{"one", "train", a}, {"other", "train", picture(t, 90, 60, 2, png.BestSpeed)}, {"one again", "train", a}, {"recoded", "val", b},
		{"third", "train", picture(t, 90, 60, 3, png.BestSpeed)}, {"third", "val", picture(t, 90, 60, 3, png.BestSpeed)},
		{"larger", "test", larger}, {"broken", "val", []byte("x")}, {"broken too", "val", []byte("x")}, {"fourth", "val", picture(t, 90, 60, 4, png.BestSpeed)}, {"fourth again", "val", picture(t, 90, 60, 4, png.BestSpeed)}, {"lossy", "val", lossy.Bytes()},
	} {
		s.Images = append(s.Images, with(f.path, f.split, 90, 60, f.data, at(0, 1, 1, 9, 9)))
	}
	calls := 0
	r, err := s.Check(t.Context(), CheckConfig{Workers: 3, Progress: func(done, total int) {
		if calls++; done != calls || total != 11 {
			t.Errorf("progress %d of %d at call %d", done, total, calls)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []CopyGroup{{[]int{0, 2, 3, 6, 11}, SameLook, true}, {[]int{4, 5}, SameFile, true}, {[]int{9, 10}, SameBytes, false}}
	if !reflect.DeepEqual(r.Files.Copies, want) {
		t.Errorf("copies %+v, want %+v", r.Files.Copies, want)
	}
	if r.Files.Read != 9 || len(r.Files.Unreadable) != 2 || calls != 11 || len(r.Files.Sizes) != 1 || r.Files.Sizes[0] != (FileSize{6, 180, 120}) {
		t.Errorf("%+v, %d calls", r.Files, calls)
	}
	s.Images = s.Images[:4]
	if r, err = s.Check(t.Context(), CheckConfig{}); err != nil || len(r.Files.Copies) != 1 || r.Files.Copies[0].By != SamePixels {
		t.Errorf("%+v, %v", r, err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.Check(stopped, CheckConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
