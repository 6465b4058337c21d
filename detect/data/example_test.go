package data_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/detect/data"
)

func Example() {
	root, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	// A set of YOLO: one image of 40x30 pixels, and a text file with its objects.
	for name, content := range map[string]string{
		"data.yaml": "train: images\nnames: [cat, dog]\n", "images/1.png": picture(40, 30), "labels/1.txt": "0 0.5 0.5 0.5 0.2\n1 0.9 0.5 0.4 0.2\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			log.Fatal(err)
		}
	}

	set, err := data.Open(context.Background(), root, data.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer set.Close()
	for _, img := range set.Images {
		fmt.Println(set.Format, img.Split, img.Path, img.Width, img.Height)
		for _, o := range img.Objects {
			fmt.Println(set.Classes[o.Class].Name, o.Box)
		}
	}
	for _, note := range set.Notes {
		fmt.Println(note)
	}
	// Output:
	// yolo train images/1.png 40 30
	// cat [10 12 30 18]
	// dog [28 12 40 18]
	// 1 box(es) reach out of their images and were cut at the border; an evaluation takes those of COCO files as they are (the first: labels/1.txt:2: [28 12 44 18] in an image of 40x30)
}
