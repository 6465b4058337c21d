// Package torch reads checkpoints of PyTorch, without Python: .pt, .pth, .th
// and .ckpt files of torch.save (zip archives, and the format before PyTorch
// 1.6, called legacy) and .safetensors.
//
// Nothing in a checkpoint is ever executed. A pickle is a program for a small
// stack machine; ours builds plain Go values. Of the classes and functions that
// a pickle names, it knows the few that tensors, containers and numbers of
// numpy are made of. All others become inert Objects that keep name, arguments
// and state; nothing is looked up, imported or called. File.Classes lists them.
//
// Reading takes memory in proportion to the pickle. The values of tensors stay
// in the file until Tensor.Write, which streams what lies in order and reads a
// storage into memory where it does not. In a zip archive the checksum of every
// storage is verified when it is first read; an entry whose checksum is 0 has
// none.
//
// The pickle comes as a tree of these values:
//
//	None, bool, int, float, complex   nil, bool, int64 (else *big.Int), float64, complex128
//	str, bytes and bytearray          string, Bytes
//	list, tuple and torch.Size, set   *List, *Tuple, *Set
//	dict, OrderedDict, defaultdict    *Dict, in the order of the file
//	tensors, parameters, ndarrays     *Tensor
//	numpy scalars                     bool, int64, float64
//	torch.device                      string
//	classes, functions, dtypes        Class
//	everything else                   *Object
//
// It may share parts and, as pickles can, contain itself.
package torch
