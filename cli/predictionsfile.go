package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize"
)

// predictionsFile is a file of COCO results, read and brought to the ids of a data set.
type predictionsFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`

	detections []coco.Detection
	masks      bool // every detection has a mask
}

// readPredictions reads what --predictions or --against names, for the images of a split.
// Images that are told by names, and ids of a folder of predict, become those of the
// data; of images in other splits the detections are left out.
func (e *env) readPredictions(flag, file string, data *truth) (*predictionsFile, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted{&usageError{msg: fmt.Sprintf("--%s: %v", flag, err)}, "it names a COCO results file: a JSON list of image_id, category_id, bbox or segmentation, and score"}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &usageError{msg: fmt.Sprintf("--%s %q is a folder, expected a file", flag, file), hint: "rtx predict --format coco writes predictions.json into its folder"}
	}
	sum := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(f, sum), 1<<20)
	read, err := coco.ReadResults(in, &data.all)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // for the sum
	}
	if err != nil {
		return nil, hinted{fmt.Errorf("%q: %w", file, err), resultsHint(err)}
	}
	p := &predictionsFile{File: file, SHA256: hex.EncodeToString(sum.Sum(nil))}
	numbered := read.Names == nil
	if err := e.namedImages(file, read, data); err != nil {
		return nil, err
	}
	byName, err := e.foldersIDs(file, read.Detections, data)
	if err != nil {
		return nil, err
	}
	if data.renumbered && numbered && !byName && len(read.Detections) > 0 {
		return nil, hinted{fmt.Errorf("%q tells images by numbers, which are those of several images of %q: %w", file, data.name, featurize.ErrData), "--split names the split that they are of; or tell images by their file names in image_id"}
	}
	if p.detections, err = e.ofSplit(file, read.Detections, data); err != nil {
		return nil, err
	}
	p.masks = len(p.detections) > 0 && !slices.ContainsFunc(p.detections, func(d coco.Detection) bool { return d.Mask == nil })
	return p, nil
}

// resultsHint is advice for a file that is no list of results.
func resultsHint(err error) string {
	var r *coco.ResultsError
	if errors.As(err, &r) && strings.Contains(r.Found, "object") && r.Element < 0 {
		return "this may be a file of annotations, which --data takes; predictions are a list: [{\"image_id\": 1, \"category_id\": 1, \"bbox\": [x, y, width, height], \"score\": 0.9}, ...]"
	}
	return "predictions are a list: [{\"image_id\": 1, \"category_id\": 1, \"bbox\": [x, y, width, height], \"score\": 0.9}, ...]"
}

// namedImages finds the images that are told by names.
func (e *env) namedImages(file string, read *coco.Results, data *truth) error {
	if read.Names == nil {
		return nil
	}
	n := 0
	for _, name := range read.Names {
		if name != "" {
			n++
		}
	}
	if unknown := data.mapNames(read); len(unknown) > 0 {
		return hinted{fmt.Errorf("%q: %d names in image_id are not of one image of %q, such as %q: %w", file, len(unknown), data.name, unknown[0], featurize.ErrData), "a name is the file_name of an image, without folders and extension if only one image has it; or its id"}
	}
	e.warn("%s tells %d images by names or by ids in quotes; they are found among the images of %s", filepath.Base(file), n, data.name)
	return nil
}

// foldersIDs gives detections of a folder of predict the ids of the data: there
// images.json and categories.json tell which file and which class each id stands for.
// told is false of other files.
func (e *env) foldersIDs(file string, found []coco.Detection, data *truth) (told bool, err error) {
	dir := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(dir, "predict.json")); err != nil {
		return false, nil
	}
	var images []struct {
		ID   int64  `json:"id"`
		Name string `json:"file_name"`
	}
	var categories []struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	if err := errors.Join(readBeside(dir, "images.json", &images), readBeside(dir, "categories.json", &categories)); err != nil {
		return false, err
	}
	files := coco.Results{Detections: make([]coco.Detection, len(images))}
	for _, one := range images {
		files.Names = append(files.Names, one.Name)
	}
	if unknown := data.mapNames(&files); len(unknown) > 0 {
		return false, fmt.Errorf("%q: %d of its images are not in %q, such as %q: %w", filepath.Join(dir, "images.json"), len(unknown), data.name, unknown[0], featurize.ErrData)
	}
	imageID, categoryID, moved := map[int64]int64{}, map[int64]int64{}, false
	for i, one := range images {
		imageID[one.ID] = files.Detections[i].ImageID
		moved = moved || one.ID != imageID[one.ID]
	}
	for _, one := range categories {
		if categoryID[one.ID] = noCategory; data.categoryOf(one.Name) != nil {
			categoryID[one.ID] = data.categoryOf(one.Name).ID
		}
		moved = moved || one.ID != categoryID[one.ID]
	}
	if !moved {
		return true, nil
	}
	for i, d := range found {
		if id, ok := imageID[d.ImageID]; ok {
			found[i].ImageID = id
		}
		if id, ok := categoryID[d.CategoryID]; ok {
			found[i].CategoryID = id
		}
	}
	e.warn("the ids in %s are those of images.json and categories.json beside it; images and classes are found in %s by their names", filepath.Base(file), data.name)
	return true, nil
}

// readBeside reads a JSON file of a folder, which may not be there.
func readBeside(dir, name string, into any) error {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%q: %w: %w", filepath.Join(dir, name), err, featurize.ErrData)
	}
	return nil
}

// noCategory is the id of a class that the data do not have.
const noCategory = -1 << 62

// ofSplit leaves the detections in images of the split. Images that the data do not
// have at all are an error, as in pycocotools.
func (e *env) ofSplit(file string, found []coco.Detection, data *truth) ([]coco.Detection, error) {
	inAll, inSplit := map[int64]bool{}, map[int64]bool{}
	for _, image := range data.all.Images {
		inAll[image.ID] = true
	}
	for _, image := range data.Images {
		inSplit[image.ID] = true
	}
	strange, example := 0, int64(0)
	kept := make([]coco.Detection, 0, len(found))
	for _, d := range found {
		switch {
		case inSplit[d.ImageID]:
			kept = append(kept, d)
		case !inAll[d.ImageID]:
			if strange++; strange == 1 {
				example = d.ImageID
			}
		}
	}
	if strange > 0 {
		return nil, hinted{fmt.Errorf("%q: %d of %d detections are of images that %q does not have, such as image_id %d: %w", file, strange, len(found), data.name, example, featurize.ErrData), "image_id is the id of an image of the data, or its file name"}
	}
	if left := len(found) - len(kept); left > 0 {
		e.warn("%d of %d detections in %s are of images in other splits than %s, and left out", left, len(found), filepath.Base(file), data.split)
	}
	return kept, nil
}
