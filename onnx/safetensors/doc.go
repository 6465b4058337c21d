// Package safetensors reads and writes the headers of .safetensors files. A
// header says where each tensor lies; the values are the caller's to read and
// write, so no file is ever held in memory.
//
// To read a file:
//
//	tensors, metadata, err := safetensors.Read(file, size)
//	for _, t := range tensors {
//		values := io.NewSectionReader(file, t.Offset, t.Size) // row-major, little-endian
//	}
//
// To write one, call [Header] with names, types and shapes, write what it
// returns, then the values of each tensor in the same order. The Example does
// both.
//
// # Format
//
// A file is the length of its header (uint64, little-endian), the header and the
// tensors. The header is a JSON object that gives every tensor its type, shape
// and offsets. The values follow, row-major and little-endian, without gaps
// (https://github.com/huggingface/safetensors, section Format).
//
// # Errors
//
// Read trusts nothing: unknown types, sizes that do not match shapes, gaps,
// overlaps and offsets outside of the file are errors that wrap [ErrFormat].
// The memory it takes is bounded by the size of the header.
package safetensors
