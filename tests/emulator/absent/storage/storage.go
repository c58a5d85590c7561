// Package storage has the names of Cloud Storage's client that the emulator's server mentions, and no client.
//
// The client takes most of the time that the emulator takes to build, and a server needs none of it.
package storage

import (
	"context"
	"errors"
	"time"

	"google.golang.org/api/option"
)

// ACLEntity is who may do something.
type ACLEntity string

// ACLRole is what one may do.
type ACLRole string

// ProjectTeam is a team of a project.
type ProjectTeam struct {
	ProjectNumber string
	Team          string
}

// ACLRule says what one entity may do.
type ACLRule struct {
	Entity      ACLEntity
	EntityID    string
	Role        ACLRole
	Domain      string
	Email       string
	ProjectTeam *ProjectTeam
}

// ObjectRetention says until when an object must stay.
type ObjectRetention struct {
	Mode        string
	RetainUntil time.Time
}

// Projection says which fields of an object are asked for.
type Projection int

// What may be asked for: access rules too, or not.
const (
	ProjectionFull Projection = iota + 1
	ProjectionNoACL
)

// Client is never made.
type Client struct{}

// NewClient refuses: the tests' client is Python's.
func NewClient(context.Context, ...option.ClientOption) (*Client, error) {
	return nil, errors.New("this build of the emulator has no client")
}
