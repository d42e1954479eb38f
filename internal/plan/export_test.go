package plan

import "bytes"

// Sum is what seals a manifest.
func Sum(data []byte) string { return sum(data) }

// Read opens a file's bytes.
func Read(data []byte) (*File, error) { return read(bytes.NewReader(data), int64(len(data))) }

// DecodeApproval reads an entry of the approvals.
func DecodeApproval(data []byte) (Approval, error) { return decodeApproval(data) }

// EncodeApproval writes one.
func EncodeApproval(a Approval) ([]byte, error) { return encodeApproval(a) }
