package draw

import (
	"hash/fnv"
	"image/color"
	"slices"
)

// Palette is the colours of classes. It was found by taking, of all web colours with
// enough chroma (CIE LAB, at least 35) and medium lightness (42 to 90), the one that
// is farthest from those already taken, under the worst of four visions: normal, and
// protanopia, deuteranopia and tritanopia as simulated by Machado, Oliveira and
// Fernandes (2009), where distances with the last, which is rare, count for 5/4. Any
// two are at least 28 apart with the first three, and 22 with tritanopia. The first five
// are farther apart, at least 60 with normal vision, and each has its nearest relative
// five places on.
var Palette = [10]color.RGBA{
	{0x66, 0xee, 0xcc, 0xff}, {0x88, 0x11, 0xff, 0xff}, {0xee, 0xdd, 0x00, 0xff}, {0xaa, 0x44, 0x22, 0xff}, {0x11, 0x77, 0xaa, 0xff},
	{0xbb, 0xee, 0x88, 0xff}, {0xbb, 0x66, 0xff, 0xff}, {0xcc, 0x88, 0x00, 0xff}, {0xee, 0x55, 0x77, 0xff}, {0xcc, 0xbb, 0xff, 0xff},
}

// Colours gives every class a colour by its name. The zero value does so by the name
// alone, so that two classes can have the same.
type Colours struct {
	of map[string]int // index into Palette
}

// NewColours gives each of the classes the colour that its name stands for, and one
// that is still free where another class has that. So a class has the same colour in
// all pictures of a set, mostly the same in those of other sets, and no two of up to
// ten classes have the same. Up to five classes have the first five colours, so that none
// are much alike.
func NewColours(classes ...string) Colours {
	sorted := slices.Clone(classes)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	c := Colours{of: map[string]int{}}
	choice := len(Palette)
	if len(sorted) <= choice/2 {
		choice /= 2
	}
	uses := make([]int, choice)
	for n, name := range sorted {
		i := preferred(name) % choice
		for uses[i] > n/choice {
			i = (i + 1) % choice
		}
		uses[i]++
		c.of[name] = i
	}
	return c
}

// Of returns the colour of a class.
func (c Colours) Of(class string) color.RGBA {
	if i, ok := c.of[class]; ok {
		return Palette[i]
	}
	return Palette[preferred(class)]
}

func preferred(class string) int {
	h := fnv.New32a()
	h.Write([]byte(class))
	return int(h.Sum32() % uint32(len(Palette)))
}

// Ink returns black or white, whichever is easier to read on a colour.
func Ink(background color.RGBA) color.RGBA {
	if l := luminance(background); (l+.05)/.05 >= 1.05/(l+.05) {
		return color.RGBA{A: 255}
	}
	return color.RGBA{255, 255, 255, 255}
}
