package data

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/robust-transfer/rtx/featurize"
)

// recogniseYAML opens a data.yaml. The images are in the folder at path in it, if there is
// one, or else below that of the file.
func recogniseYAML(ctx context.Context, name string) (*tree, *source, error) {
	root := filepath.Dir(name)
	data, err := readFile(nil, func() (io.ReadCloser, error) { return os.Open(name) }, maxText)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	y, err := parseYAML(name, data)
	if err != nil {
		return nil, nil, err
	}
	base := filepath.Base(name)
	if p, ok := y["path"].(string); ok && p != "" {
		if !filepath.IsAbs(p) {
			p = filepath.Join(root, p)
		}
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			root = p
		}
	}
	t, err := openTree(ctx, root)
	if err != nil {
		return nil, nil, err
	}
	t.name = name
	if root != filepath.Dir(name) {
		t.files[base] = featurize.File{Path: base, Name: name, Open: func() (io.ReadCloser, error) { return os.Open(name) }}
		t.rooted = true
	}
	return t, &source{format: YOLO, files: []string{base}}, nil
}

// parseYAML reads a YAML file, a map from texts.
func parseYAML(file string, data []byte) (map[string]any, error) {
	const most = 4 << 20
	if len(data) > most {
		return nil, fmt.Errorf("data: %q: %d bytes, expected at most %d: %w", file, len(data), most, featurize.ErrData)
	}
	var y map[string]any
	if err := yaml.Unmarshal(data, &y); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return nil, fmt.Errorf("data: %q: %s: %w", file, line, featurize.ErrData)
	}
	return y, nil
}

// yaml reads data.yaml: the classes, and where the images of each split are.
func (r *yoloReader) yaml(file string, data []byte) ([]yoloPart, error) {
	y, err := parseYAML(file, data)
	if err != nil {
		return nil, err
	}
	if err := r.yamlClasses(file, y); err != nil {
		return nil, err
	}
	if shape, ok := y["kpt_shape"].([]any); ok && len(shape) == 2 {
		a, _ := integerOf(shape[0])
		b, _ := integerOf(shape[1])
		r.keypoints = a * b
	}
	base := path.Dir(file)
	if p, ok := y["path"].(string); ok && p != "" && !r.tree.rooted {
		if dir, ok := r.folder(base, p, file, "path"); ok {
			base = dir
		} else {
			r.find.add(PathMoved, "%s: path %q; the folder of the file is taken", file, p)
		}
	}
	var parts []yoloPart
	asked := 0
	for _, key := range []string{"train", "val", "valid", "test"} {
		entries := textsOf(y[key])
		asked += len(entries)
		part := yoloPart{split: splitOf(key)}
		for _, e := range entries {
			part.images = append(part.images, r.entry(base, e, file, key)...)
		}
		if len(part.images) > 0 {
			parts = append(parts, part)
		}
	}
	switch {
	case asked == 0:
		return r.allImages(), nil
	case len(parts) == 0:
		return nil, fmt.Errorf("data: %q: expected folders or lists of images at train, val or test, found none: %w", file, featurize.ErrData)
	}
	return parts, nil
}

// textsOf is a text or a list of texts.
func textsOf(v any) (list []string) {
	switch v := v.(type) {
	case string:
		if strings.TrimSpace(v) != "" {
			list = append(list, strings.TrimSpace(v))
		}
	case []any:
		for _, e := range v {
			list = append(list, textsOf(e)...)
		}
	}
	return list
}

func integerOf(v any) (int, bool) {
	n, err := strconv.Atoi(fmt.Sprint(v))
	return n, err == nil && n >= 0 && n < 1<<20
}

// yamlClasses reads names, a list or a map from numbers, and nc, their number.
func (r *yoloReader) yamlClasses(file string, y map[string]any) error {
	switch names := y["names"].(type) {
	case []any:
		for i, n := range names {
			r.names[i] = nameOf(n)
		}
	case map[string]any:
		for key, n := range names {
			i, ok := integerOf(key)
			if !ok {
				return fmt.Errorf("data: %q: names has the key %q, expected the number of a class: %w", file, key, featurize.ErrData)
			}
			r.names[i] = nameOf(n)
		}
	case nil:
	default:
		return fmt.Errorf("data: %q: names is %v, expected a list, or a map from numbers to names: %w", file, names, featurize.ErrData)
	}
	for i, n := range r.names {
		if strings.TrimSpace(n) == "" {
			r.names[i] = strconv.Itoa(i)
			r.find.add(ClassUnnamed, "%s: class %d", file, i)
		}
	}
	nc, ok := integerOf(y["nc"])
	switch {
	case !ok || nc == 0:
	case len(r.names) == 0:
		for i := range nc {
			r.names[i] = strconv.Itoa(i)
			r.find.add(ClassUnnamed, "%s: class %d", file, i)
		}
	case nc != len(r.names):
		return fmt.Errorf("data: %q: nc is %d, expected %d, the number of names: %w", file, nc, len(r.names), featurize.ErrData)
	}
	return nil
}

// nameOf is the name of a class, which YAML may take for a number or a truth value.
func nameOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// folder finds a folder that data.yaml names relative to base, or as a path of another
// machine: then by the last part of it that there is.
func (r *yoloReader) folder(base, name, file, key string) (string, bool) {
	if dir := path.Join(base, strings.ReplaceAll(name, `\`, "/")); r.tree.isDir(dir) && !path.IsAbs(name) {
		return dir, true
	}
	for rest := cleanName(name); rest != ""; {
		if dir := path.Join(base, rest); r.tree.isDir(dir) {
			r.find.add(PathMoved, "%s: %s: %q; %q was taken", file, key, name, dir)
			return dir, true
		}
		var more bool
		if _, rest, more = strings.Cut(rest, "/"); !more {
			break
		}
	}
	return "", false
}

// isDir reports whether there are files below a folder.
func (t *tree) isDir(dir string) bool {
	if t.dirs == nil {
		t.dirs = map[string]bool{".": len(t.paths) > 0}
		for _, p := range t.paths {
			for d := path.Dir(p); d != "." && !t.dirs[d]; d = path.Dir(d) {
				t.dirs[d] = true
			}
		}
	}
	return t.dirs[dir]
}

// entry lists the images of a folder, or of a text file with a path in each line.
func (r *yoloReader) entry(base, name, file, key string) (images []string) {
	if path.Ext(name) == ".txt" {
		return r.imageList(base, name, file, key)
	}
	dir, ok := r.folder(base, name, file, key)
	if !ok {
		r.find.add(PathMissing, "%s: %s: %q", file, key, name)
		return nil
	}
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	for _, p := range r.tree.paths {
		if strings.HasPrefix(p, prefix) && featurize.IsImageName(p) {
			images = append(images, p)
		}
	}
	if len(images) == 0 {
		r.find.add(PathMissing, "%s: %s: no image in %q", file, key, dir)
	}
	return images
}

func (r *yoloReader) imageList(base, name, file, key string) (images []string) {
	list := ""
	for _, p := range []string{path.Join(base, name), path.Join(path.Dir(file), name), path.Join(base, path.Base(name))} {
		if r.tree.has(p) {
			list = p
			break
		}
	}
	data, err := r.tree.read(list)
	if list == "" || err != nil {
		r.find.add(PathMissing, "%s: %s: %q", file, key, name)
		return nil
	}
	r.lists[list] = true
	find := &locator{t: r.tree, dirs: []string{path.Dir(list), base, path.Dir(file)}, hint: key}
	at := 0
	for line := range strings.Lines(string(data)) {
		at++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		hit, ok := find.find(line)
		if !ok {
			r.find.add(ImageLost, "%s:%d: %q", list, at, line)
			continue
		}
		images = append(images, hit.file.Path)
	}
	return images
}
