// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
)

// filtered lists the ids of the containers that match.
func (e *env) filtered(filters ...string) ([]string, error) {
	answer, err := e.containers().List(e.ctx, &containersapi.ListContainersRequest{Filters: filters})
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, c := range answer.Containers {
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// match is one row of a filter table: filter strings and the ids that they select.
type match struct {
	filters []string
	want    []string
}

func (e *env) checkMatches(t *testing.T, table []match) {
	t.Helper()
	for _, row := range table {
		got, err := e.filtered(row.filters...)
		if err != nil {
			t.Errorf("%q: %v", row.filters, err)
			continue
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%q selects %v, want %v", row.filters, got, row.want)
		}
	}
}

// filterable makes containers a, b and c to filter.
func filterable(t *testing.T) *env {
	e := newEnv(t)
	for _, c := range []struct {
		id, image string
		labels    map[string]string
	}{
		{"a", "img-one", map[string]string{"color": "red", "a.b/c": "x"}},
		{"b", "img-two", map[string]string{"color": "blue", "a.b": "x", "quote": `q"q`}},
		{"c", "", map[string]string{"path": "/x/y"}},
	} {
		record := containerOf(c.id)
		record.Image, record.Labels = c.image, c.labels
		e.container(record)
	}
	return e
}

func one(filter string, want ...string) match {
	if want == nil {
		want = []string{}
	}
	return match{[]string{filter}, want}
}

func TestL014_EmptyListMatchesAll(t *testing.T) {
	e := filterable(t)
	all := []string{"a", "b", "c"}
	e.checkMatches(t, []match{{nil, all}, {[]string{""}, all}, {[]string{"id==a", ""}, all}})
}

func TestL015_OrAndBlanks(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{
		{[]string{"id==a", "id==c"}, []string{"a", "c"}},
		one("id==a,labels.color==red", "a"),
		one("id==a,labels.color==blue"),
		one("id==a, labels.color==red", "a"),
		one("id == a,  labels.color == red", "a"),
		{[]string{"id==a,labels.color==blue", "id==c"}, []string{"c"}},
	})
}

func TestL016_LabelKeys(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{
		one(`labels."a.b/c"==x`, "a"),
		one(`labels.a.b==x`, "b"),
		one(`labels."a.b"==x`, "b"),
		one(`labels.color`, "a", "b"),
		one(`image`, "a", "b"),
		one(`runtime.name==`+runcName, "a", "b", "c"),
	})
}

func TestL017_AbsentFields(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{
		one("labels.color!=red", "b", "c"),
		one(`labels.color==""`),
		one(`image==""`),
		one(`labels.color!=""`, "a", "b"),
	})
}

func TestL018_RegularExpressions(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{
		one("labels.color~=e", "a", "b"),
		one("labels.color~=/^r/", "a"),
		one("labels.color~=|^b|", "b"),
		one(`labels.color~="u.$"`, "b"),
		one("labels.color~=^[rb]", "a", "b"),
		one("labels.color~=RED"),
		one("labels.color~=(?i)RED", "a"),
		one(`labels.path~=|^/x|`, "c"),
		one("labels.nope~=^$", "a", "b", "c"),
	})
	_, err := e.filtered("labels.color==/x/")
	wantCode(t, err, codes.InvalidArgument, "filters: parse error")
}

func TestL019_InvalidRegularExpression(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{one("labels.color~=/(/"), {[]string{"id~=/[/", "id==a"}, []string{"a"}}})
}

func TestL020_ParseErrors(t *testing.T) {
	e := filterable(t)
	for _, bad := range []string{"a=b", "a===b", "a!b", "a==", "a,", "a.", ".a", "a==b,", `a=="x`, "a==\"x\ny\"", "a==x\x00",
		"a\x00==b", "a==b c", "==b", `a=="\q"`, "a==,b", "labels.x==,", "a~~b"} {
		_, err := e.filtered(bad)
		if err == nil {
			t.Errorf("%q is accepted", bad)
			continue
		}
		wantCode(t, err, codes.InvalidArgument, "filters: parse error")
	}
	_, err := e.images().List(e.ctx, &imagesapi.ListImagesRequest{Filters: []string{"a=b"}})
	wantCode(t, err, codes.InvalidArgument, "filters: parse error")
}

func TestL020_ParseErrorsOfStreams(t *testing.T) {
	gantryOnly(t, "Snapshots/List and Events/Subscribe let the parse error out as Unknown")
	e := newEnv(t)
	_, err := drain(e.snapshots().List(e.ctx, &snapshotsapi.ListSnapshotsRequest{Snapshotter: overlayfs, Filters: []string{"a=b"}}))
	wantCode(t, err, codes.InvalidArgument, "filters: parse error")
	stream, err := e.events().Subscribe(e.ctx, &eventsapi.SubscribeRequest{Filters: []string{"a=b"}})
	ok(t, err)
	_, err = stream.Recv()
	wantCode(t, err, codes.InvalidArgument, "filters: parse error")
}

func TestL021_Escapes(t *testing.T) {
	e := newEnv(t)
	for i, row := range []struct{ quoted, value string }{
		{`"\a\b\f\n\r\t\v\\"`, "\a\b\f\n\r\t\v\\"},
		{`"\""`, `"`},
		{`"\101\060"`, "A0"},
		{`"\x41\x7e"`, "A~"},
		{`"\u00e9\u20ac"`, "é€"},
		{`"\U0001F600"`, "😀"},
		{`"\U0010FFFF"`, "\U0010FFFF"},
		{`"'"`, "'"},
	} {
		id := "c" + string(rune('a'+i))
		c := containerOf(id)
		c.Labels = map[string]string{"v": row.value}
		e.container(c)
		e.checkMatches(t, []match{one("labels.v=="+row.quoted, id)})
	}
	// \377 is a byte, not a rune: no label can hold it, since it is not UTF-8. It must parse all the same.
	e.checkMatches(t, []match{one(`labels.v=="\377"`)})
	for _, bad := range []string{`"\400"`, `"\U00110000"`, `"\x4"`, `"\u12"`, `"\08"`} {
		_, err := e.filtered("labels.v==" + bad)
		wantCode(t, err, codes.InvalidArgument, "filters: parse error")
	}
}

func TestL022_SnapshotFields(t *testing.T) {
	e := newEnv(t).held()
	e.layer("base", "", nil)
	e.layer("child", "base", map[string]string{"x": "y"})
	e.prepare("active", "child", nil)
	e.view("looking", "base")
	for _, row := range []struct {
		filter string
		want   []string
	}{
		{`parent==""`, []string{"base"}},
		{"kind==view", []string{"looking"}},
		{"kind==active", []string{"active"}},
		{"kind==committed", []string{"base", "child"}},
		{"name==child", []string{"child"}},
		{"parent==base", []string{"child", "looking"}},
		{"labels.x==y", []string{"child"}},
	} {
		if got := e.listSnapshots(row.filter); !slices.Equal(got, row.want) {
			t.Errorf("%s selects %v, want %v", row.filter, got, row.want)
		}
	}
}

func TestL023_ImageAnnotations(t *testing.T) {
	e := newEnv(t)
	for name, value := range map[string]string{"i1": "y", "i2": "z"} {
		image := imageOf(name, someDigest, nil)
		image.Target.Annotations = map[string]string{"x": value, "a/b": value}
		_, err := e.images().Create(e.ctx, &imagesapi.CreateImageRequest{Image: image})
		ok(t, err)
	}
	for filter, want := range map[string][]string{
		"annotations.x==y":                 {"i1"},
		`annotations."a/b"==z`:             {"i2"},
		"target.digest==" + someDigest:     {"i1", "i2"},
		"target.mediatype~=manifest":       {"i1", "i2"},
		"name==i1,target.mediatype!=other": {"i1"},
	} {
		answer, err := e.images().List(e.ctx, &imagesapi.ListImagesRequest{Filters: []string{filter}})
		ok(t, err)
		var got []string
		for _, image := range answer.Images {
			got = append(got, image.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", filter, got, want)
		}
	}
}

func TestL024_UnknownField(t *testing.T) {
	e := filterable(t)
	e.checkMatches(t, []match{one("nope==x"), one("nope"), one("runtime"), one("nope!=x", "a", "b", "c")})
}

func TestL026_CatastrophicExpression(t *testing.T) {
	e := newEnv(t)
	c := containerOf("c")
	c.Labels = map[string]string{"v": strings.Repeat("a", 4000)}
	e.container(c)
	start := time.Now()
	e.checkMatches(t, []match{one("labels.v~=/^(a+)+$/", "c"), one("labels.v~=/^(a+)+b$/"), one("labels.v~=/(a|a)*b/")})
	if took := time.Since(start); took > scaled(2*time.Second) {
		t.Errorf("took %v", took)
	}
}

// listSnapshots lists names, in the daemon's order.
func (e *env) listSnapshots(filters ...string) []string {
	e.t.Helper()
	answers, err := drain(e.snapshots().List(e.ctx, &snapshotsapi.ListSnapshotsRequest{
		Snapshotter: overlayfs, Filters: filters}))
	ok(e.t, err)
	var found []string
	for _, answer := range answers {
		for _, info := range answer.Info {
			found = append(found, info.Name)
		}
	}
	return found
}
