package pixels

// Grey gives the three bytes of every pixel of an RGB image the same value: the luma of
// ITU-R BT.601, rounded as Pillow's convert("L") and hence torchvision's Grayscale
// do it. Resizing leaves the three equal.
func Grey(pix []uint8) {
	for ; len(pix) >= 3; pix = pix[3:] {
		y := luma(pix[0], pix[1], pix[2])
		pix[0], pix[1], pix[2] = y, y, y
	}
}
