// Package seen records which images a model was trained on, and by which it was chosen,
// so that an evaluation can tell whether it is of images that are new to the model.
//
// Images are told apart by the SHA-256 of their files' bytes ([Sum]), as sha256sum prints
// it: an image is known under another name and in another folder or archive, and not
// once it has been encoded anew. A hash of the decoded pixels would know some of those
// too, but changes with the decoder's version, and could not be computed without decoding.
//
// A [Record] travels in the model's metadata under [Key]. It is JSON:
//
//	{"version":1,"trained":["SET",...],"chosen":["SET",...]}
//
// A [Set] of N different images takes about 25.5 N bits, so 3.2 bytes an image, or 4.3 in
// base64: 2 KB for 500 images, 213 KB for 50,000, 4.3 MB for a million. It answers
// whether it holds an image; for one image in 2^24 that it does not hold the answer is
// wrong, so that of 10,000 new images less than one in a thousand evaluations finds one.
//
// It is a Golomb-coded set: each image is the number h N 2^24 / 2^64, h being the first
// 8 bytes of its Sum, big-endian. The numbers are sorted, and each difference from the one
// before, from 0 on, is written as its quotient by 2^24 in unary, q ones and a zero, and
// its remainder in 24 bits; bits fill bytes from the highest on. In front of these bits is
// N as a varint. The whole is in base64 (RFC 4648, section 4).
package seen
