package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// FileCheck is what the image files of a data set are.
type FileCheck struct {
	Read       int         // image files that were decoded
	Unreadable []BadFile   // those that cannot be
	Lost       []int       // images without a file
	Sizes      []FileSize  // images of another size than the data say
	Turned     []int       // images whose boxes are those of the image as EXIF turns it
	Copies     []CopyGroup // images that occur more than once, by the first of each group
	Warnings   []BadFile   // what the decoder has to say of files
}

// BadFile is an image whose file cannot be read as it is, and why.
type BadFile struct {
	Image  int
	Reason string
}

// FileSize is an image whose file has another size.
type FileSize struct{ Image, Width, Height int }

// CopyGroup is images that are one.
type CopyGroup struct {
	Images []int
	By     Likeness
	Across bool // they are in several splits
}

// Likeness is what images have in common.
type Likeness string

// Kinds of likeness, the surest first.
const (
	SameFile   Likeness = "file"   // one file, which the data name several times
	SameBytes  Likeness = "bytes"  // files of the same contents
	SamePixels Likeness = "pixels" // files that decode to the same pixels
	SameLook   Likeness = "look"   // images that are alike when they are made as small as 9x9
)

// seen is what is kept of an image file.
type seen struct {
	err      error
	warnings []string
	w, h     int
	bytes    [32]byte
	pixels   [32]byte
	small    look
}

// check reads and decodes the files of all images.
func (f *FileCheck) check(ctx context.Context, s *Set, c CheckConfig) error {
	first := map[string]int{} // image of each path
	var work []int
	for i := range s.Images {
		img := &s.Images[i]
		if img.Read == nil {
			f.Lost = append(f.Lost, i)
			continue
		}
		if _, again := first[img.Path]; !again {
			first[img.Path] = i
			work = append(work, i)
		}
	}
	files, err := readAll(ctx, s, work, c)
	if err != nil {
		return err
	}
	for i := range s.Images {
		img := &s.Images[i]
		if img.Read == nil {
			continue
		}
		k := files[first[img.Path]]
		if k.err != nil {
			f.Unreadable = append(f.Unreadable, BadFile{i, k.err.Error()})
			continue
		}
		if first[img.Path] == i {
			f.Read++
		}
		for _, w := range k.warnings {
			f.Warnings = append(f.Warnings, BadFile{i, w})
		}
		switch {
		case img.Turned:
			f.Turned = append(f.Turned, i)
		case img.Width > 0 && (img.Width != k.w || img.Height != k.h):
			f.Sizes = append(f.Sizes, FileSize{i, k.w, k.h})
		}
	}
	f.copies(s, files, first)
	return nil
}

// readAll reads some images, by several workers.
func readAll(ctx context.Context, s *Set, work []int, c CheckConfig) (map[int]*seen, error) {
	todo := make(chan int)
	files := map[int]*seen{}
	var mutex sync.Mutex
	var running sync.WaitGroup
	for range max(1, c.Workers) {
		running.Go(func() {
			l := newLooker()
			defer l.decoder.Close()
			for i := range todo {
				k := l.look(s.Images[i].Read)
				mutex.Lock()
				files[i] = k
				if c.Progress != nil {
					c.Progress(len(files), len(work))
				}
				mutex.Unlock()
			}
		})
	}
	for _, i := range work {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	running.Wait()
	return files, context.Cause(ctx)
}

// looker reads image files. It keeps its buffers.
type looker struct {
	decoder   *pixels.Decoder
	resampler pixels.Resampler
	data      []byte
	img       pixels.Image
}

func newLooker() *looker { return &looker{decoder: pixels.NewDecoder(pixels.DecodeConfig{})} }

func (l *looker) look(read func([]byte) ([]byte, error)) *seen {
	k := &seen{}
	if l.data, k.err = read(l.data[:0]); k.err != nil {
		return k
	}
	info, err := l.decoder.Decode(&l.img, l.data)
	if k.err = err; err != nil {
		return k
	}
	k.warnings, k.w, k.h = info.Warnings, l.img.Width, l.img.Height
	k.bytes = sha256.Sum256(l.data)
	sum := sha256.New()
	binary.Write(sum, binary.LittleEndian, [2]uint32{uint32(k.w), uint32(k.h)})
	sum.Write(l.img.Pix)
	sum.Sum(k.pixels[:0])
	k.err = l.resampler.Apply(k.small[:], &l.img, pixels.Geometry{Width: lookSide, Height: lookSide, Interpolation: pixels.Bilinear})
	return k
}

// lookSide is the side of the small images that are compared.
const lookSide = 9

// look is a small image.
type look [lookSide * lookSide * 3]uint8

// sum is the sum of the values, and spread the difference between the largest and the
// smallest.
func (l *look) sum() (n int) {
	for _, v := range l {
		n += int(v)
	}
	return n
}

func (l *look) spread() int { return int(slices.Max(l[:])) - int(slices.Min(l[:])) }

// tolerance is the largest difference of values of images that are alike: what coding an
// image anew or scaling it changes, and less where an image has little contrast.
func (l *look) tolerance() int { return 1 + l.spread()/32 }

// alike reports whether two small images are nearly equal.
func (l *look) alike(other *look) bool {
	most := min(l.tolerance(), other.tolerance())
	for i, v := range l {
		if d := int(v) - int(other[i]); d < -most || d > most {
			return false
		}
	}
	return true
}

// copies finds the images that are one, by the surest likeness that joins them: those of
// a group by bytes are not told again as one by pixels.
func (f *FileCheck) copies(s *Set, files map[int]*seen, first map[string]int) {
	g := grouping{members: map[int][]int{}, told: map[int]CopyGroup{}}
	for i := range s.Images {
		at, ok := first[s.Images[i].Path]
		if !ok || s.Images[i].Read == nil || files[at].err != nil {
			continue
		}
		if g.members[at] == nil {
			g.order = append(g.order, at)
		}
		g.members[at] = append(g.members[at], i)
	}
	g.tell(s, SameFile)
	g.join(func(i int) [32]byte { return files[i].bytes })
	g.tell(s, SameBytes)
	g.join(func(i int) [32]byte { return files[i].pixels })
	g.tell(s, SamePixels)
	g.joinAlike(func(i int) *look { return &files[i].small })
	g.tell(s, SameLook)
	for _, i := range g.order {
		if c, ok := g.told[i]; ok {
			f.Copies = append(f.Copies, c)
		}
	}
}

// grouping is images in groups, each under its first.
type grouping struct {
	order   []int // the first of each group
	members map[int][]int
	told    map[int]CopyGroup // groups of several
}

// join brings together the groups of equal keys.
func (g *grouping) join(key func(int) [32]byte) {
	first := map[[32]byte]int{}
	var left []int
	for _, i := range g.order {
		if to, ok := first[key(i)]; ok {
			g.members[to] = append(g.members[to], g.members[i]...)
			continue
		}
		first[key(i)] = i
		left = append(left, i)
	}
	g.order = left
}

// joinAlike brings together the groups whose firsts are alike. Images that are alike have
// nearly equal sums, so that only neighbours in the order of the sums are compared.
func (g *grouping) joinAlike(small func(int) *look) {
	bySum := slices.Clone(g.order)
	slices.SortStableFunc(bySum, func(a, b int) int { return cmp.Compare(small(a).sum(), small(b).sum()) })
	to := map[int]int{} // the first of the group that a first has joined
	for n, i := range bySum {
		limit := small(i).sum() + len(look{})*small(i).tolerance()
		for _, j := range bySum[n+1:] {
			if small(j).sum() > limit {
				break
			}
			if !small(i).alike(small(j)) {
				continue
			}
			a, b := root(to, i), root(to, j)
			if a != b {
				to[max(a, b)] = min(a, b)
			}
		}
	}
	var left []int
	for _, i := range g.order {
		if r := root(to, i); r != i {
			g.members[r] = append(g.members[r], g.members[i]...)
		} else {
			left = append(left, i)
		}
	}
	g.order = left
}

// root follows the joins from a group to the one that it is part of.
func root(to map[int]int, i int) int {
	for {
		next, ok := to[i]
		if !ok {
			return i
		}
		i = next
	}
}

// tell makes groups of several images known, with what joins them, where a step has made
// them larger.
func (g *grouping) tell(s *Set, by Likeness) {
	for _, i := range g.order {
		if n := len(g.members[i]); n < 2 || n == len(g.told[i].Images) {
			continue
		}
		images := slices.Sorted(slices.Values(g.members[i]))
		across := slices.ContainsFunc(images, func(j int) bool { return s.Images[j].Split != s.Images[i].Split })
		g.told[i] = CopyGroup{images, by, across}
	}
}
