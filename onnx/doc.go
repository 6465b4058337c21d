// Package onnx holds an ONNX model as a Go value: loading, saving, validating,
// inspecting, and the surgery that rtx needs.
//
// A [Model] has the structure of the graph in memory and leaves the large
// weights in their file: loading a model of a gigabyte takes milliseconds and
// a few kilobytes. Surgery returns a new Model that shares the weights with
// the old one; neither is modified.
//
// A [Spec] says what the weights expect of their input. It travels with them
// as the metadata entry "rtx.spec", JSON. Files without one get the documented
// assumptions of [Model.Spec].
//
// The format is that of the ONNX specification, IR version 3 and later, with
// operator sets from 9 on.
package onnx
