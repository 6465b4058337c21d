package data

import (
	"context"
	"io"

	"github.com/robust-transfer/rtx/featurize"
)

// Forms of data sets.
const (
	COCO        = "coco"
	LabelStudio = "labelstudio"
	VOC         = "voc"
	YOLO        = "yolo"
	Masks       = "masks"
)

// Set is a data set. The caller closes it.
type Set struct {
	Format   string  // COCO, LabelStudio, VOC, YOLO or Masks
	Classes  []Class // in the order of their IDs
	Images   []Image // in the order of the files, split by split: train, val, test, others
	Notes    []string
	Findings []Finding // flaws, in the order of the kinds

	listed map[string]map[string]int64 // of COCO: the numbers of the classes in the list of each split

	tree *tree
	find findings
	said []string // notes on what is no flaw
}

// Class is a class of objects.
type Class struct {
	ID   int64 // in the data; from 1 on for VOC and Label Studio, which have none
	Name string
}

// Image is an image of a Set.
type Image struct {
	ID            int64  // in the data, unique in the split; where they have none, the number that the file is called by, or a free one
	TextID        string // the id in the data, where that is a text and no number
	Name          string // as the data call it
	Path          string // in the folder or archive, with slashes; that of a lost image is its name
	Split         string // "train", "val", "test" or another; "" if there are no splits
	Width, Height int    // as the data say, and if they do not, of the file; 0: unknown
	Objects       []Object

	// Turned says that the boxes are those of the image as its EXIF orientation turns it.
	// It is found out for YOLO, and otherwise by Set.CheckSizes.
	Turned bool

	// Read appends the contents of the image file to dst and returns the result. It is nil
	// for an image whose file was not found. Several goroutines may call it.
	Read func(dst []byte) ([]byte, error)

	open  func() (io.ReadCloser, error)
	unfit []unfitObject // in the order of the file
}

// Object is an object in an image.
type Object struct {
	ID        int64      // in the data; 0 if they have none
	Box       [4]float64 // x1, y1, x2, y2, in the image; x1 < x2 and y1 < y2
	Class     int        // index among the classes of the set
	Crowd     bool       // many objects that were not told apart
	Difficult bool       // hard to recognise; VOC does not count it
	Truncated bool       // it goes on beyond the image
	Area      float64    // as the data say, which may be 0; or else of the mask, or of the box
	Mask      *Mask      // nil: none

	given  [4]float64 // x, y, width, height as the file has them, if known is set
	fitted [4]float64 // Box as it was made of given
	known  bool
}

// Config changes how a data set is read. The zero value is the default.
type Config struct {
	// Root is the folder of the images for a .json file; "": they are looked for beside the
	// file, and where COCO's layout and those of the usual tools have them.
	Root string
}

// Open reads a data set: a folder, an archive of one (.tar, .tar.gz, .tar.zst, .zip), a
// .json file of COCO or Label Studio, or a data.yaml of YOLO. Images are not decoded. It
// reads the sizes of image files only where the data lack them.
func Open(ctx context.Context, name string, c Config) (*Set, error) {
	t, from, err := recognise(ctx, name, c)
	if err != nil {
		return nil, err
	}
	return newSet(ctx, t, from)
}

// newSet reads a set from its files. If that fails, they are closed.
func newSet(ctx context.Context, t *tree, from *source) (*Set, error) {
	s := &Set{Format: from.format, tree: t}
	if err := s.read(ctx, from); err != nil {
		t.Close()
		return nil, err
	}
	s.finish()
	return s, nil
}

// Format tells the form of a data set without reading all of it. The error for one that
// is not recognised says what was looked for, and wraps featurize.ErrData.
func Format(ctx context.Context, name string) (string, error) {
	t, from, err := recognise(ctx, name, Config{})
	if err != nil {
		return "", err
	}
	t.Close()
	return from.format, nil
}

// Close closes the archive that the images are read from, if any.
func (s *Set) Close() error { return s.tree.Close() }

// Splits lists the splits of the images in their order; "" stands for no split.
func (s *Set) Splits() []string {
	var names []string
	seen := map[string]bool{}
	for i := range s.Images {
		if split := s.Images[i].Split; !seen[split] {
			seen[split] = true
			names = append(names, split)
		}
	}
	return names
}

// Count is the number of flaws of a kind.
func (s *Set) Count(k Kind) int {
	for _, f := range s.Findings {
		if f.Kind == k {
			return f.Count
		}
	}
	return 0
}

// finish turns what was found into Findings and Notes.
func (s *Set) finish() {
	s.Findings = s.find.list()
	s.Notes = append([]string(nil), s.said...)
	for _, f := range s.Findings {
		s.Notes = append(s.Notes, f.String())
	}
}

// Sample is the image as a sample of package featurize; ok is false for a lost one.
func (img *Image) Sample() (s featurize.Sample, ok bool) {
	return featurize.Sample{Path: img.Path, Split: img.Split, Label: -1, Read: img.Read}, img.Read != nil
}
