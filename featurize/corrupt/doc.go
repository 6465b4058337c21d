// Package corrupt applies the 15 common corruptions of Hendrycks and Dietterich
// (2019, "Benchmarking Neural Network Robustness to Common Corruptions and
// Perturbations") to 8-bit RGB images, each at severities 1 to 5:
//
//	noise    gaussian_noise, shot_noise, impulse_noise
//	blur     defocus_blur, glass_blur, motion_blur, zoom_blur
//	weather  snow, frost, fog, brightness
//	digital  contrast, elastic_transform, pixelate, jpeg_compression
//
// # Two tables of constants
//
// [ImageNet] has the constants of ImageNet-C and computes what the Python package
// imagecorruptions 1.1.2 computes, with which COCO-C is made: images of any size.
// It differs from the scripts of ImageNet-C in two places, as that package does:
// elastic_transform has no affine part, and pixelate enlarges by the nearest pixel.
// [CIFAR] has the constants and the functions of CIFAR-10-C (make_cifar_c.py of
// hendrycks/robustness), which are milder. [TableFor] chooses by the size of the image.
//
// # What differs from the references
//
//   - frost: the references blend in photographs of frost. Here a texture is computed
//     instead, with the references' weights. Its figures are comparable between models,
//     and not with those published for ImageNet-C.
//   - motion_blur and snow of CIFAR-10-C use ImageMagick's blur along a line. Here both
//     tables use that of imagecorruptions, with each table's radius and sigma.
//   - CIFAR-10-C is made of images of 32x32. For other sizes, the displacements of its
//     elastic_transform grow with the shorter side.
//   - jpeg_compression does what libjpeg-turbo does between compression and decompression
//     (colours, 4:2:0 chroma, DCT, quantisation and back), without writing a file:
//     neither libjpeg-turbo nor Go's image/jpeg is used, and the pixels are Pillow's.
//
// glass_blur overwrites pixels by neighbours where its description says that it swaps
// them, because the references do.
//
// # Random numbers
//
// The random numbers of a corruption follow from a seed, the name of the image, the
// corruption and its severity, so that neither the order of the images nor the number
// of goroutines matters. All arithmetic is rounded the same on every processor.
package corrupt
