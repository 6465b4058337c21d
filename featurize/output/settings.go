package output

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

const (
	recordName    = "config.json"
	recordVersion = 1
)

// record is config.json: what a folder was begun with.
type record struct {
	Version  int            `json:"version"`
	Kind     string         `json:"kind"`
	Key      string         `json:"key"`
	Settings map[string]any `json:"settings"`

	damage error
}

func newRecord(kind string, settings any) (*record, error) {
	fields, text, err := canonical(settings)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &record{Version: recordVersion, Kind: kind, Key: hex.EncodeToString(sum[:]), Settings: fields}, nil
}

// readRecord reads a record, nil where there is none.
func readRecord(name string) (*record, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := decode(text, r); err != nil {
		return &record{Version: recordVersion, damage: err}, nil
	}
	return r, nil
}

func (r *record) write(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(context.Background(), name, Bytes(append(text, '\n')))
}

// Key tells settings apart: it is the SHA-256 of their JSON with sorted keys, in
// hexadecimal digits. Settings must be a struct or map that JSON can hold.
func Key(settings any) (string, error) {
	r, err := newRecord("", settings)
	if err != nil {
		return "", err
	}
	return r.Key, nil
}

// Difference names every key whose value differs between two settings; "" stands
// for none. A key inside of another is named with it: optimizer.momentum.
func Difference(there, here any) (string, error) {
	a, _, err1 := canonical(there)
	b, _, err2 := canonical(here)
	return difference(a, b), errors.Join(err1, err2)
}

// canonical is settings as a JSON object: decoded, and as text with sorted keys.
func canonical(settings any) (map[string]any, []byte, error) {
	text, err := json.Marshal(settings)
	var fields map[string]any
	if err == nil {
		err = decode(text, &fields)
	}
	if err == nil {
		text, err = json.Marshal(fields)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("output: settings of type %T: %w", settings, err)
	}
	return fields, text, nil
}

// decode keeps numbers as they are written.
func decode(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}

func difference(there, here map[string]any) string {
	a, b := map[string]any{}, map[string]any{}
	flatten(a, "", there)
	flatten(b, "", here)
	all := maps.Clone(a)
	maps.Copy(all, b)
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(a[key], b[key]) {
			differ = append(differ, fmt.Sprintf("%s is %s there and %s here", key, show(a[key]), show(b[key])))
		}
	}
	return strings.Join(differ, "; ")
}

// flatten copies the values of nested objects under their paths.
func flatten(to map[string]any, prefix string, from map[string]any) {
	for key, v := range from {
		if inner, ok := v.(map[string]any); ok && len(inner) > 0 {
			flatten(to, prefix+key+".", inner)
		} else {
			to[prefix+key] = v
		}
	}
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "not set"
	case string:
		return v
	}
	text, _ := json.Marshal(v)
	return string(text)
}
