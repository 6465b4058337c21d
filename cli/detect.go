package cli

import (
	cli "github.com/urfave/cli/v2"
)

func detectCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "detect", Usage: "train a detector, or check a data set of objects in images",
		Description: detectTrainDescription,
		Subcommands: []*cli.Command{detectCheckCommand(e)},
		Flags:       detectTrainFlags(),
		Action:      func(c *cli.Context) error { return e.detectTrain(c) },
	}
}

func detectCheckCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "look at a data set of boxes and masks", ArgsUsage: "DATA",
		Description: "DATA is a data set for detection or instance segmentation: a folder, a .tar, .tar.gz,\n" +
			".tar.zst or .zip archive, a .json file of COCO or Label Studio, or a data.yaml of YOLO.\n" +
			"Its form is recognised: COCO, Pascal VOC, YOLO, Label Studio, or a folder of masks for\n" +
			"each image. Told are the images and objects of each split and class, the sizes of boxes,\n" +
			"flaws of the annotations and what was done about each, boxes worth a look, image files\n" +
			"that are lost, unreadable or of another size than the data say, and images that occur\n" +
			"more than once. OUT gets check.json, per_class.csv and a page, check.html, with samples\n" +
			"of each split and odd boxes drawn; the same command again tells what is there. The exit\n" +
			"code is 0 where the data can be used, flaws or not, and 65 where they cannot.",
		Flags: []cli.Flag{
			text("root", "", "the `FOLDER` of the images of a .json file (default: they are looked for)"),
			text("out", "", "the `FOLDER` of the results", "o"),
			toggle("overwrite", "start over where OUT holds something else"),
			number("workers", 0, "goroutines that read and decode images; 0: one per core", "j"),
			text("config", "", "YAML `FILE` of these flags, such as an args.yaml"),
			jsonFlag(),
			text("progress", "auto", "how progress is shown: auto, bar, jsonl or none"),
			toggle("quiet", "no notes and no progress", "q"),
		},
		Action: func(c *cli.Context) error { return e.detectCheck(c) },
	}
}
