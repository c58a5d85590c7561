// Package pubsub has the names of Pub/Sub's client that the emulator's server mentions, and no client.
//
// No test asks for notifications.
package pubsub

import (
	"context"
	"errors"
)

var errAbsent = errors.New("this build of the emulator sends no notifications")

// Message is what would be sent.
type Message struct {
	Data       []byte
	Attributes map[string]string
}

// PublishResult is the answer to a message.
type PublishResult struct{}

// Get says that nothing was sent.
func (*PublishResult) Get(context.Context) (string, error) { return "", errAbsent }

// Publisher sends nothing.
type Publisher struct{}

// Publish sends nothing.
func (*Publisher) Publish(context.Context, *Message) *PublishResult { return &PublishResult{} }

// Client is never made.
type Client struct{}

// NewClient refuses.
func NewClient(context.Context, string) (*Client, error) { return nil, errAbsent }

// Publisher of a topic.
func (*Client) Publisher(string) *Publisher { return &Publisher{} }

// Close does nothing.
func (*Client) Close() error { return nil }
