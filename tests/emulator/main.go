// Command emulator is a Cloud Storage for tests: fake-gcs-server with the preconditions and batch answers of the real one.
//
// It prints its URL, keeps everything in memory and ends when its standard input does, so it never outlives its test run.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"sync"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

var objectPath = regexp.MustCompile(
	`^(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)(?:/(?:rewriteTo|copyTo)/b/([^/]+)/o/([^/]+)|/compose)?$`)

// strict checks generation preconditions that the server behind it ignores: on reads, deletes, copies and compositions.
type strict struct {
	server *fakestorage.Server
	next   http.Handler
	mutex  sync.Mutex
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/batch/storage/v1" || r.URL.Path == "/batch" {
		s.serveBatch(w, r)
		return
	}
	query, match := r.URL.Query(), objectPath.FindStringSubmatch(r.URL.EscapedPath())
	if match == nil || !query.Has("ifGenerationMatch") && !query.Has("ifGenerationNotMatch") {
		s.next.ServeHTTP(w, r)
		return
	}
	// Check and deed must be one step.
	s.mutex.Lock()
	defer s.mutex.Unlock()
	current := s.generation(match)
	if query.Has("ifGenerationMatch") && query.Get("ifGenerationMatch") != current {
		http.Error(w, `{"error": {"code": 412, "message": "conditionNotMet"}}`, http.StatusPreconditionFailed)
	} else if query.Has("ifGenerationNotMatch") && query.Get("ifGenerationNotMatch") == current {
		w.WriteHeader(http.StatusNotModified)
	} else {
		s.next.ServeHTTP(w, r)
	}
}

// generation of the object that the request reads or would write; "0" where there is none.
func (s *strict) generation(match []string) string {
	bucket, name := match[1], match[2]
	if match[3] != "" {
		bucket, name = match[3], match[4]
	}
	bucket, _ = url.PathUnescape(bucket)
	name, _ = url.PathUnescape(name)
	object, err := s.server.GetObject(bucket, name)
	if err != nil {
		return "0"
	}
	return strconv.FormatInt(object.Generation, 10)
}

// serveBatch answers every part, in order, whether it carries a Content-ID or not.
func (s *strict) serveBatch(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answers := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+answers.Boundary())
	for part, err := parts.NextPart(); err == nil; part, err = parts.NextPart() {
		header := textproto.MIMEHeader{"Content-Type": {"application/http"}}
		answer, _ := answers.CreatePart(header)
		request, err := http.ReadRequest(bufio.NewReader(part))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, request)
		_ = recorder.Result().Write(answer)
	}
	_ = answers.Close()
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true, Scheme: "http", PublicHost: address, ExternalURL: "http://" + address,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + address)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, &strict{server: server, next: server.HTTPHandler()}))
}
