package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// recogniseJSON opens an annotation file. Its images are in c.Root, or else looked for
// around it.
func recogniseJSON(ctx context.Context, name string, c Config) (*tree, *source, error) {
	file, err := filepath.Abs(name)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	// The folder of the file is the second one of the tree, so that its neighbours can be
	// asked for.
	root := filepath.Dir(filepath.Dir(file))
	t := askTree(root)
	if c.Root != "" {
		if t, err = openTree(ctx, c.Root); err != nil {
			return nil, nil, err
		}
	}
	inner, err := filepath.Rel(root, file)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	inner = filepath.ToSlash(inner)
	if c.Root != "" { // it is read from where it is
		inner = filepath.Base(file)
		f, _ := askTree(filepath.Dir(file)).file(inner)
		t.files[inner] = f
	}
	t.name = name
	switch kind := jsonForm(t, inner); kind {
	case COCO, LabelStudio:
		return t, &source{format: kind, files: []string{inner}}, nil
	case "":
		t.Close()
		return nil, nil, fmt.Errorf("data: %q: expected a JSON object with images, annotations and categories (COCO), or a list of the tasks of Label Studio: %w", name, ErrUnknown)
	default:
		t.Close()
		return nil, nil, fmt.Errorf("data: %q holds %s, expected the truth about images: %w", name, kind, ErrUnknown)
	}
}

// cocoKeys are the keys of COCO's files.
var cocoKeys = []string{"info", "images", "annotations", "categories", "licenses", "type", "videos", "contributor", "year", "version", "description", "url", "date_created"}

// jsonForm is the form of a JSON file: COCO, LabelStudio, or what else it is known to
// hold, in words; "" if it is not known.
func jsonForm(t *tree, name string) string {
	head := bytes.TrimSpace(bytes.TrimPrefix(t.head(name, 4096), []byte(mark)))
	if len(head) == 0 {
		return ""
	}
	first := firstKey(head)
	if head[0] == '{' && !slices.Contains(cocoKeys, first) {
		return ""
	}
	if head[0] == '[' && first == "" {
		return ""
	}
	data, err := t.read(name)
	if err != nil {
		return ""
	}
	has := func(key string) bool { return bytes.Contains(data, []byte(`"`+key+`"`)) }
	switch {
	case head[0] == '{' && has("segments_info"):
		return "panoptic segments"
	case head[0] == '{' && has("caption") && !has("bbox"):
		return "captions"
	case head[0] == '{' && has("images") && (has("annotations") || has("categories")):
		return COCO
	case head[0] == '{' && (has("images") || has("annotations") || has("categories")) && !json.Valid(data):
		return COCO // cut off or damaged, which reading it tells
	case head[0] == '[' && (has("original_width") || has("annotations") && has("result") || has("rectanglelabels")):
		return LabelStudio
	case head[0] == '[' && has("image_id") && has("score"):
		return "detections of a model"
	}
	return ""
}

// firstKey is the first key of a JSON object, or of the first object of a list.
func firstKey(head []byte) string {
	head = bytes.TrimLeft(head, "[{ \t\r\n")
	if len(head) == 0 || head[0] != '"' {
		return ""
	}
	key, _, _ := bytes.Cut(head[1:], []byte(`"`))
	return string(key)
}
