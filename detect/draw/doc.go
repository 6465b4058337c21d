// Package draw draws objects on images: boxes, masks, class names and scores.
//
//	picture, err := draw.Objects(&img, []draw.Object{
//		{Box: box.Box{20, 30, 120, 90}, Class: "cat", Score: .93, Mask: m},
//	}, draw.Config{Colours: draw.NewColours("cat", "dog")})
//	err = draw.JPEG(w, picture)
//
// # Sizes
//
// Coordinates are pixels of the image. Line width and font size grow with the size of
// the picture, a little more slowly than its sides, so that a picture of 6000x4000 is
// readable both when it is shrunk to a screen and when it is looked at closely. An
// image whose longer side has fewer than [LeastSide] pixels is enlarged by a whole
// factor: each pixel becomes a square. Config.Side sets another size.
//
// Labels lie within the picture. They avoid one another and the other objects where
// there is room; where there is none, those of errors and of higher scores win.
//
// # Colours and lines
//
// The colour stands for the class. The ten colours are distinguishable with normal
// vision, protanopia, deuteranopia and tritanopia; see [Palette]. What an object is
// beside that (see [Kind]) is told by the style of its lines and by a word in the
// label, never by colour alone. Text is black or white, whichever has more contrast.
//
// # Names
//
// Text is set in the Go font, which has Latin, Greek and Cyrillic letters. The class
// of a name with other letters is written as its number, "#7", which is Object.Number;
// pages that show such pictures should list the names.
package draw
