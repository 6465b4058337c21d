package data

import (
	"fmt"
	"strings"
)

// Kind is a kind of flaw of a data set.
type Kind string

// Finding is a flaw of a data set, and how often it occurs.
type Finding struct {
	Kind  Kind
	Count int
	First string // the first one: the file, the element, and what was found
}

// Kinds of flaws. The comments say what is done with what has them.
const (
	// Of boxes. Set.COCO has those of COCO files whose four numbers are finite as they are.
	BoxNotFinite Kind = "box_not_finite" // NaN or infinite; dropped
	BoxMalformed Kind = "box_malformed"  // not four numbers; dropped
	BoxMissing   Kind = "box_missing"    // taken from the mask; without one, dropped
	BoxNegative  Kind = "box_negative"   // a negative side; dropped
	BoxEmpty     Kind = "box_empty"      // a side of 0; dropped
	BoxBeyond    Kind = "box_beyond"     // not in the image at all; dropped
	BoxOutside   Kind = "box_outside"    // partly outside the image; cut at its border
	BoxThin      Kind = "box_thin"       // a side below one pixel; kept
	BoxRepeated  Kind = "box_repeated"   // the same box and class twice in an image; kept
	BoxRotated   Kind = "box_rotated"    // the upright box around it is taken

	// Of masks.
	PolygonShort     Kind = "polygon_short"      // less than 3 points, or an odd number of coordinates; dropped
	PolygonNotFinite Kind = "polygon_not_finite" // NaN, infinite or no number; dropped
	PolygonFlat      Kind = "polygon_flat"       // one list of numbers, not a list of lists; taken for one polygon
	MaskMalformed    Kind = "mask_malformed"     // neither polygons nor run lengths; dropped, the box is kept
	MaskSize         Kind = "mask_size"          // of another size than the image; dropped, a given box is kept
	MaskEmpty        Kind = "mask_empty"         // no pixel; dropped
	MaskOverlap      Kind = "mask_overlap"       // pixels of two objects; kept
	MaskBeside       Kind = "mask_beside"        // it does not meet its box; kept
	MaskMissing      Kind = "mask_missing"       // an object without a mask, where others have one; kept
	MaskNotRead      Kind = "mask_not_read"      // of a form that is not read; the object is dropped if it has no box

	// Of objects.
	CrowdMissing     Kind = "crowd_missing"     // iscrowd; taken for 0
	AreaMissing      Kind = "area_missing"      // that of the mask or box is taken
	AreaMalformed    Kind = "area_malformed"    // negative, not finite or no number; that of the mask or box is taken
	ObjectID         Kind = "object_id"         // 0, repeated or no integer; numbered from 1 on for the evaluation
	ObjectNoImage    Kind = "object_no_image"   // of an image that the data do not have; dropped
	ObjectNoClass    Kind = "object_no_class"   // of a class that the data do not have, or of none; dropped
	ObjectMalformed  Kind = "object_malformed"  // it cannot be read; dropped
	DifficultMissing Kind = "difficult_missing" // taken for 0
	TruncatedMissing Kind = "truncated_missing" // taken for 0
	BoxesFloat       Kind = "boxes_float"       // VOC corners that are no integers; kept as they are
	BoxesFromZero    Kind = "boxes_from_zero"   // of a VOC set: corners below 1, so that all its corners are taken to count from 0
	LabelKeypoints   Kind = "label_keypoints"   // of YOLO lines; only the boxes are read

	// Of classes.
	ClassIDs      Kind = "class_ids"       // with gaps, or not from 1; mapped
	ClassIDMoved  Kind = "class_id_moved"  // another number in another split; mapped by name
	ClassOneSplit Kind = "class_one_split" // not among the classes of every split; kept
	ClassRepeated Kind = "class_repeated"  // two entries of one id; the first is taken
	ClassSameName Kind = "class_same_name" // the name of another class; kept apart, with the id in the name
	ClassUnnamed  Kind = "class_unnamed"   // named by its number
	ClassUnused   Kind = "class_unused"    // no object; kept
	ClassCase     Kind = "class_case"      // two names that differ in case only; kept apart
	ClassSuper    Kind = "class_super"     // Roboflow's supercategory, of id 0; dropped
	ClassNames    Kind = "class_names"     // spaces around a name, or another Unicode form; mended

	// Of images.
	ImageNoObjects   Kind = "image_no_objects"   // kept, as background
	ImageNoLabels    Kind = "image_no_labels"    // a file that the data say nothing of; YOLO: kept as background, else left out
	ImageLost        Kind = "image_lost"         // no file; kept without one
	ImageAmbiguous   Kind = "image_ambiguous"    // several files fit; the first is taken
	ImageSuffix      Kind = "image_suffix"       // the file has another suffix than the data say; taken
	ImageFileName    Kind = "image_file_name"    // the file name in an XML file is another than its own, which is taken
	ImageSize        Kind = "image_size"         // missing or 0; that of the file is taken
	ImageSizeDiffers Kind = "image_size_differs" // from that of the file; told by Set.CheckSizes
	ImageTurned      Kind = "image_turned"       // it has its size after the EXIF rotation
	ImageUnread      Kind = "image_unread"       // its size cannot be read
	ImageIDText      Kind = "image_id_text"      // ids as text; numbers are taken as such, others are numbered
	ImageRepeated    Kind = "image_repeated"     // the same entry twice; taken for one
	ImageOneName     Kind = "image_one_name"     // two images of one file, or with one annotation file; kept
	ImageAnnotators  Kind = "image_annotators"   // annotated more than once; the first annotation is taken
	ImageShared      Kind = "image_shared"       // an image in two splits; kept in both
	ImageNoSplit     Kind = "image_no_split"     // in none of the lists of the splits; left out

	// Of files.
	FileUnread    Kind = "file_unread"    // an annotation file that cannot be read; left out
	LineMalformed Kind = "line_malformed" // of a text file; left out
	NumberNaN     Kind = "number_nan"     // NaN or Infinity, which JSON does not have; read
	PathMissing   Kind = "path_missing"   // of data.yaml: no folder or list, or no image in it; left out
	PathMoved     Kind = "path_moved"     // a folder of data.yaml is not there; another one is taken
)

// said is what a kind is and what is done, in words.
var said = []struct {
	kind Kind
	text string
}{
	{BoxNotFinite, "box(es) with NaN or infinity were dropped"},
	{BoxMalformed, "box(es) that are not four numbers were dropped"},
	{BoxMissing, "object(s) have no box; it was taken from the mask, and those without a mask were dropped"},
	{BoxNegative, "box(es) with a negative side were dropped; an evaluation takes those of COCO files as they are"},
	{BoxEmpty, "box(es) with a side of 0 were dropped; an evaluation takes those of COCO files as they are"},
	{BoxBeyond, "box(es) lie wholly outside of their images and were dropped; an evaluation takes those of COCO files as they are"},
	{BoxOutside, "box(es) reach out of their images and were cut at the border; an evaluation takes those of COCO files as they are"},
	{BoxThin, "box(es) have a side below one pixel"},
	{BoxRepeated, "object(s) have the class and the box of another one in their image"},
	{BoxRotated, "rotated box(es) were replaced by the upright boxes around them"},
	{PolygonShort, "polygon(s) without three points, or with half a point, were dropped"},
	{PolygonNotFinite, "polygon(s) with NaN, infinity or no numbers were dropped"},
	{PolygonFlat, "segmentation(s) are one list of numbers; each was taken for a polygon"},
	{MaskMalformed, "mask(s) that are neither polygons nor run lengths were dropped, their boxes kept"},
	{MaskSize, "mask(s) of another size than their images were dropped; a box that the data give is kept"},
	{MaskEmpty, "mask(s) without a pixel were dropped"},
	{MaskOverlap, "mask(s) overlap with another object's in their image"},
	{MaskBeside, "mask(s) do not meet their boxes"},
	{MaskMissing, "object(s) have no mask, where others have one"},
	{MaskNotRead, "mask(s) are of a form that is not read"},
	{CrowdMissing, "object(s) do not say iscrowd; 0 was taken"},
	{AreaMissing, "object(s) do not say their area; that of the mask or box was taken"},
	{AreaMalformed, "object(s) have an area that is negative or no finite number; that of the mask or box was taken"},
	{ObjectID, "object(s) have the id 0, one that another has, or no integer; they are numbered for the evaluation"},
	{ObjectNoImage, "object(s) are of images that the data do not have; they were dropped"},
	{ObjectNoClass, "object(s) are of no class that the data have; they were dropped"},
	{ObjectMalformed, "object(s) that cannot be read were dropped"},
	{DifficultMissing, "object(s) do not say difficult; 0 was taken"},
	{TruncatedMissing, "object(s) do not say truncated; 0 was taken"},
	{BoxesFloat, "box(es) have corners that are no integers; they are kept as they are"},
	{BoxesFromZero, "box(es) have a corner below 1, so all corners of the set were taken to count from 0, not from 1"},
	{LabelKeypoints, "line(s) have keypoints, of which nothing is read; their boxes are"},
	{ClassIDs, "class number(s) are left out between 1 and the last one, or below 1"},
	{ClassIDMoved, "class(es) have another number in another split; classes are told by name"},
	{ClassOneSplit, "class(es) are not in the lists of all splits"},
	{ClassRepeated, "class(es) are listed twice with the same id; the first entry was taken"},
	{ClassSameName, "class(es) have the name of another class; they are kept apart, with their id in their name"},
	{ClassUnnamed, "class(es) have no name; their numbers are taken as names"},
	{ClassUnused, "class(es) have no object"},
	{ClassCase, "class(es) have a name that differs from another's in upper and lower case only"},
	{ClassSuper, "class(es) of id 0 without objects, the group of the others as Roboflow writes it, were left out"},
	{ClassNames, "class name(s) were written without the spaces around them or in the composed Unicode form"},
	{ImageNoObjects, "image(s) show no object; they are kept as background"},
	{ImageNoLabels, "image file(s) are there of which the data say nothing"},
	{ImageLost, "image file(s) were not found"},
	{ImageAmbiguous, "image name(s) fit several files, of which the first was taken"},
	{ImageSuffix, "image file(s) have another suffix than the data say"},
	{ImageFileName, "annotation file(s) name another image than their own names do, which were taken"},
	{ImageSize, "image(s) are of an unknown size; that of the file was taken where there is one"},
	{ImageSizeDiffers, "image(s) have another size than the data say"},
	{ImageTurned, "image(s) have the size that the data say once they are turned as their EXIF orientation asks"},
	{ImageUnread, "image file(s) of which not even the size can be read"},
	{ImageIDText, "image id(s) are text; numbers were taken as such, others replaced by numbers"},
	{ImageRepeated, "image(s) are listed twice; each was taken for one"},
	{ImageOneName, "image(s) share their file or their annotations with another one"},
	{ImageAnnotators, "image(s) are annotated more than once, of which the first was taken"},
	{ImageShared, "image(s) are in two splits"},
	{ImageNoSplit, "image(s) are in none of the lists of the splits and were left out"},
	{FileUnread, "annotation file(s) cannot be read and were left out"},
	{LineMalformed, "line(s) that cannot be read were left out"},
	{NumberNaN, "file(s) hold NaN or Infinity, which JSON does not have"},
	{PathMissing, "entr(ies) of data.yaml lead to no images and were left out"},
	{PathMoved, "folder(s) are not where the data say"},
}

// Text says what the flaw is and what was done, in words that follow a number.
func (k Kind) Text() string {
	for _, s := range said {
		if s.kind == k {
			return s.text
		}
	}
	return string(k)
}

// String is a sentence for people.
func (f Finding) String() string {
	text := fmt.Sprintf("%d %s", f.Count, f.Kind.Text())
	if f.First == "" {
		return text
	}
	return text + " (the first: " + f.First + ")"
}

// findings counts flaws by kind.
type findings map[Kind]*Finding

// add counts a flaw. format describes it, for the first of its kind.
func (f *findings) add(k Kind, format string, args ...any) {
	if *f == nil {
		*f = findings{}
	}
	known := (*f)[k]
	if known == nil {
		known = &Finding{Kind: k, First: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd")}
		(*f)[k] = known
	}
	known.Count++
}

// list is in the order of the kinds.
func (f findings) list() []Finding {
	var all []Finding
	for _, s := range said {
		if known := f[s.kind]; known != nil {
			all = append(all, *known)
		}
	}
	return all
}
