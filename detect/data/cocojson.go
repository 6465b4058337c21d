package data

import (
	"encoding/json"
)

// cocoFile is a JSON file of COCO's form.
type cocoFile struct {
	Images      []cocoImage      `json:"images"`
	Annotations []cocoAnnotation `json:"annotations"`
	Categories  []cocoCategory   `json:"categories"`

	name   string // its path in the tree
	dir    string
	raw    string // the split as the name of the file or folder has it
	split  string
	others []string // more names of folders that may be called like the split
}

type cocoImage struct {
	ID       number `json:"id"`
	FileName text   `json:"file_name"`
	Width    number `json:"width"`
	Height   number `json:"height"`
	URL      text   `json:"coco_url"` // LVIS has no file_name
}

type cocoAnnotation struct {
	ID           number          `json:"id"`
	ImageID      number          `json:"image_id"`
	CategoryID   number          `json:"category_id"`
	Box          json.RawMessage `json:"bbox"`
	Segmentation json.RawMessage `json:"segmentation"`
	Area         number          `json:"area"`
	Crowd        number          `json:"iscrowd"`
}

type cocoCategory struct {
	ID            number `json:"id"`
	Name          text   `json:"name"`
	Supercategory text   `json:"supercategory"`
}

// text is a JSON text, or a number in the place of one.
type text string

// UnmarshalJSON takes any value.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case string(b) == "null", b[0] == '{', b[0] == '[':
		*t = ""
	default:
		*t = text(b)
	}
	return nil
}
