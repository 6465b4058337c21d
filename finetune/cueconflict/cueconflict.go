// Package cueconflict judges whether a classifier goes by shape or by texture, on images
// that have the shape of one class and the texture of another (Geirhos et al. 2019,
// "ImageNet-trained CNNs are biased towards texture; increasing shape bias improves
// accuracy and robustness").
//
// The images' names say both classes: cat1-elephant3.png has the shape of a cat and the
// texture of an elephant. A decision is one of the 16 classes of the paper; ImageNet's
// classes are grouped into them as the authors' repository does, and the mean probability
// of a group decides.
package cueconflict

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// Classes are the 16 classes, sorted.
var Classes = []string{
	"airplane", "bear", "bicycle", "bird", "boat", "bottle", "car", "cat",
	"chair", "clock", "dog", "elephant", "keyboard", "knife", "oven", "truck",
}

// spans are ranges of ImageNet's 1000 classes, the first and the last of each, which
// belong to a class.
var spans = map[string][][2]int{
	"airplane": {{404, 404}},
	"bear":     {{294, 297}},
	"bicycle":  {{444, 444}, {671, 671}},
	"bird":     {{8, 8}, {10, 16}, {18, 20}, {22, 24}, {80, 83}, {87, 96}, {98, 100}, {127, 133}, {135, 145}},
	"boat":     {{472, 472}, {554, 554}, {625, 625}, {814, 814}, {914, 914}},
	"bottle":   {{440, 440}, {720, 720}, {737, 737}, {898, 899}, {901, 901}, {907, 907}},
	"car":      {{436, 436}, {511, 511}, {817, 817}},
	"cat":      {{281, 286}},
	"chair":    {{423, 423}, {559, 559}, {765, 765}, {857, 857}},
	"clock":    {{409, 409}, {530, 530}, {892, 892}},
	"dog":      {{152, 191}, {193, 203}, {205, 226}, {228, 241}, {243, 250}, {252, 257}, {259, 259}, {261, 263}, {265, 268}},
	"elephant": {{385, 386}},
	"keyboard": {{508, 508}, {878, 878}},
	"knife":    {{499, 499}},
	"oven":     {{766, 766}},
	"truck":    {{555, 555}, {569, 569}, {656, 656}, {675, 675}, {717, 717}, {734, 734}, {864, 864}, {867, 867}},
}

// Groups are classes, each with the places of the model's classes that belong to it.
type Groups map[string][]int

// ErrNoGroups says that a model has fewer than two of the 16 classes.
var ErrNoGroups = errors.New("the model has fewer than two of the 16 classes")

// GroupsOf groups a model's classes: ImageNet's 1000 by the published mapping, others by
// their names. imageNet tells which. names are nil where the model names none: 1000
// classes are taken for ImageNet's then. Names are known for ImageNet's in the usual order
// where three of them are, as words or as WordNet's numbers.
func GroupsOf(names []string, classes int) (g Groups, imageNet bool, err error) {
	g = Groups{}
	if classes == 1000 && (names == nil || ordered(names)) {
		for class, ranges := range spans {
			for _, r := range ranges {
				for i := r[0]; i <= r[1]; i++ {
					g[class] = append(g[class], i)
				}
			}
		}
		return g, true, nil
	}
	for i, name := range names {
		if name = strings.ToLower(name); slices.Contains(Classes, name) {
			g[name] = append(g[name], i)
		}
	}
	if len(g) < 2 {
		return nil, false, fmt.Errorf("cueconflict: %d of them: %w", len(g), ErrNoGroups)
	}
	return g, false, nil
}

// ordered reports whether names are those of ImageNet's classes in the usual order.
func ordered(names []string) bool {
	for _, k := range []struct {
		at         int
		word, wnid string
	}{{281, "tabby", "n02123045"}, {404, "airliner", "n02690373"}, {817, "sports car", "n04285008"}} {
		if name := strings.ToLower(names[k.at]); name != k.wnid && !strings.Contains(strings.ReplaceAll(name, "_", " "), k.word) {
			return false
		}
	}
	return true
}

// Parse reads the classes of an image from its file name, SHAPE1-TEXTURE2.EXT. ok is false
// for other names.
func Parse(file string) (shape, texture string, ok bool) {
	base := path.Base(file)
	a, b, found := strings.Cut(strings.TrimSuffix(base, path.Ext(base)), "-")
	shape, texture = strings.TrimRight(a, "0123456789"), strings.TrimRight(b, "0123456789")
	return shape, texture, found && slices.Contains(Classes, shape) && slices.Contains(Classes, texture)
}

// Decide is the class whose group has the highest mean probability; of equal ones the
// first of Classes.
func (g Groups) Decide(probabilities []float64) string {
	best, at := "", math.Inf(-1)
	for _, class := range Classes {
		places, ok := g[class]
		if !ok {
			continue
		}
		mean := 0.0
		for _, i := range places {
			mean += probabilities[i] / float64(len(places))
		}
		if mean > at {
			best, at = class, mean
		}
	}
	return best
}
