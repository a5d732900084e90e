"""Review page in a real browser: changes by mouse and keys reach the layout file."""

import json
import re
from dataclasses import replace

import pytest
from patience import PATIENCE_MS

from rmset.answers import FOUND, MASKED, PERSON, Answer, Audit


def waiting(root):
    """Return the first video of the queue: the least confident."""
    return next(v for v in root.video_ids() if v.startswith("two"))


def shows(page, selector, text):
    """Wait for a text; the page's security policy forbids evaluating strings in it."""
    page.locator(selector, has_text=re.compile(text)).wait_for()


def saved(page):
    shows(page, "#saved", "^saved$")


def until(page, holds, found=lambda: ""):
    """Wait for a state outside the page's elements, while handling the page's events."""
    for _ in range(PATIENCE_MS // 20):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"the state was not reached: {found()}")


def written(page, root, holds):
    """Wait until a condition holds for the layout file."""
    until(page, lambda: holds(root.layout(waiting(root))), lambda: root.layout(waiting(root)))


def at(page, x, y):
    """A point of the video as a point of the window."""
    box = page.locator("#boxes").bounding_box()
    return box["x"] + x * box["width"] / 320, box["y"] + y * box["height"] / 180


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *[(a + b) / 2 for a, b in zip(start, end, strict=True)]))
    page.mouse.move(*at(page, *end))
    page.mouse.up()


def test_the_least_confident_video_is_shown_first_with_its_boxes(page, root):
    assert page.locator("#title").text_content() == "two"
    assert page.locator(".box.region").count() == 1
    assert page.locator(".box.person").count() == 1
    assert page.locator("#strip button").count() == 10


def test_what_the_audit_doubts_comes_first_and_is_drawn_with_its_faces(page, root):
    (doubted,) = [v for v in root.video_ids() if v.startswith("one")]
    masked = Answer(MASKED, "yes", False, "a face keeps its place", 7, (200.0, 40.0, 240.0, 90.0), None, 0.2)
    mixed = Answer(
        PERSON, "no", False, "person 0 is person 1", 3, (20.0, 40.0, 60.0, 90.0), 0, 0.1, 9, (60.0, 40.0, 99.0, 90.0)
    )
    good = Answer(FOUND, "yes", True)
    root.write_text(root.audit_key(doubted), Audit(doubted, None, 4, 0, (masked, mixed, good)).to_json())
    page.reload()
    shows(page, "#title", "^one$")
    shows(page, "#where", "^frame 3,")
    assert page.locator("#queue .name").all_text_contents() == ["one", "two"]
    doubts = page.locator("#doubts button")
    assert doubts.locator("strong").all_text_contents() == ["same person", "somebody masked"]
    assert [doubts.nth(i).locator("svg image").count() for i in range(2)] == [2, 1]
    assert page.locator("rect.evidence").get_attribute("x") == "20"
    doubts.nth(1).click()
    shows(page, "#where", "^frame 7,")
    assert page.locator("rect.evidence").get_attribute("x") == "200"


def test_a_region_is_drawn_with_the_mouse_and_written_at_once(page, root):
    page.keyboard.press("r")
    drag(page, (100, 90), (180, 150))
    saved(page)
    regions = root.layout(waiting(root)).segments[0].trigger_regions
    assert len(regions) == 2
    assert regions[1].source == "manual"
    assert regions[1].box == pytest.approx((100, 90, 180, 150), abs=1.5)


def test_a_handle_resizes_and_undo_takes_it_back(page, root):
    page.mouse.click(*at(page, 250, 90))
    drag(page, (300, 140), (280, 120))
    saved(page)
    assert root.layout(waiting(root)).segments[0].trigger_regions[0].box == pytest.approx((200, 40, 280, 120), abs=1.5)
    page.keyboard.press("u")
    written(page, root, lambda layout: layout.segments[0].trigger_regions[0].box == (200, 40, 300, 140))


def test_one_key_accepts_a_video_and_opens_the_next(page, root):
    page.keyboard.press("a")
    shows(page, "#title", "^one$")
    assert all(s.reviewed for s in root.layout(waiting(root)).segments)
    assert page.locator("#progress").text_content() == "1 of 2 reviewed"


def test_a_key_that_is_held_down_accepts_one_video_only(page, root):
    page.keyboard.down("a")
    shows(page, "#title", "^one$")
    # Keys are answered in order: once the next one has moved the frame, the repeated one has done its part.
    page.keyboard.down("a")
    before = page.locator("#where").text_content()
    page.keyboard.up("a")
    page.keyboard.press("]")
    page.locator("#where", has_not_text=before).wait_for()
    assert page.locator("#progress").text_content() == "1 of 2 reviewed"
    assert page.locator("#title").text_content() == "one"


@pytest.mark.parametrize("size", [(1300, 800), (820, 640), (560, 700)])
def test_picture_and_buttons_fit_into_the_window(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})

    def outside():
        boxes = {
            s: page.locator(s).bounding_box() for s in ("#picture", "#strip", "[data-do=back]", "[data-do=accept]")
        }
        return [
            (s, b) for s, b in boxes.items()
            if b["x"] < 0 or b["x"] + b["width"] > size[0] or b["y"] + b["height"] > size[1]
        ]  # fmt: skip

    # The strip is drawn anew for a narrow window; a page that never fits fails here, with what does not.
    until(page, lambda: not outside(), outside)


def test_what_was_done_is_there_after_a_reload(page, root):
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    saved(page)
    page.reload()
    page.wait_for_selector(".box.person")
    assert page.locator(".box.person").count() == 2


def test_everything_goes_by_keys_alone(page, root):
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # the person
    page.keyboard.press("Shift+ArrowRight")
    saved(page)
    assert root.layout(waiting(root)).segments[0].people[0].box == (30, 20, 70, 70)
    page.keyboard.press("Control+ArrowDown")
    written(page, root, lambda layout: layout.segments[0].people[0].box == (30, 20, 70, 71))
    page.keyboard.press("x")
    written(page, root, lambda layout: layout.segments[0].people == ())
    page.keyboard.press("]")
    assert page.locator("#segments [aria-current=true]").text_content().startswith("0.8")
    page.keyboard.press(".")
    page.keyboard.press("n")
    shows(page, "#title", "^one$")
    page.keyboard.press("b")
    shows(page, "#title", "^two$")


def test_a_second_tab_gets_a_message_instead_of_overwriting(page, root, address):
    other = page.context.new_page()
    other.goto(address)
    other.wait_for_selector(".box.region")
    other.keyboard.press("r")
    other.keyboard.press("Enter")
    saved(other)
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    shows(page, "#saved", "^two was changed elsewhere")
    segment = root.layout(waiting(root)).segments[0]
    assert len(segment.trigger_regions) == 2
    assert len(segment.people) == 1
    # The second tab shows the first tab's change instead of its own refused one, and continues from there.
    page.locator(".box.region").nth(1).wait_for()
    assert page.locator(".box.person").count() == 1
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    saved(page)
    segment = root.layout(waiting(root)).segments[0]
    assert (len(segment.trigger_regions), len(segment.people)) == (2, 2)


def changed_by_a_command(root, video_id):
    """Remove all people from the layout, as a command would while the page is open."""
    layout = root.layout(video_id)
    changed = replace(layout, segments=tuple(replace(s, people=()) for s in layout.segments))
    root.write_layout(changed)
    return changed


def test_accepting_what_was_changed_elsewhere_accepts_nothing_and_stays(page, root):
    changed = changed_by_a_command(root, waiting(root))
    page.keyboard.press("a")
    shows(page, "#saved", "^two was changed elsewhere")
    page.locator(".box.person").wait_for(state="detached")
    assert page.locator("#title").text_content() == "two"
    assert page.locator("#progress").text_content() == "0 of 2 reviewed"
    assert root.layout(waiting(root)) == changed
    page.keyboard.press("a")
    shows(page, "#title", "^one$")


def leave_while_saving(page):
    """Draw a person and go to the next video; return the delayed save."""
    late = []
    page.route("**/api/layout/*", lambda r: late.append(r) if r.request.method == "PUT" else r.continue_())
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    shows(page, "#saved", "saving")
    page.keyboard.press("n")
    until(page, lambda: late)
    return late[0]


def test_going_on_too_early_stays_at_a_refused_change(page, root):
    changed = changed_by_a_command(root, waiting(root))
    leave_while_saving(page).continue_()
    shows(page, "#saved", "^two was changed elsewhere")
    page.locator(".box.person").wait_for(state="detached")
    assert page.locator("#title").text_content() == "two"
    assert root.layout(waiting(root)) == changed
    page.keyboard.press("n")
    shows(page, "#title", "^one$")


def test_going_on_again_after_the_refusal_is_shown_goes_on(page, root):
    changed_by_a_command(root, waiting(root))
    queues = []
    page.route("**/api/queue", lambda r: queues.append(r))
    leave_while_saving(page).continue_()
    shows(page, "#saved", "^two was changed elsewhere")
    # the refused save is not quite over, and the first "n" still waits for it
    page.keyboard.press("n")
    until(page, lambda: queues)
    queues[0].continue_()
    shows(page, "#title", "^one$")


def test_a_save_that_fails_leaves_on_the_page_what_the_file_says(page, root):
    page.route("**/api/layout/*", lambda r: r.abort() if r.request.method == "PUT" else r.continue_())
    page.keyboard.press("Tab")
    page.keyboard.press("x")
    shows(page, "#saved", "^two: not saved")
    page.locator(".box.region").wait_for()
    page.unroute("**/api/layout/*")
    page.keyboard.press("a")
    shows(page, "#title", "^one$")
    assert len(root.layout(waiting(root)).segments[0].trigger_regions) == 1


def test_a_wrong_token_is_refused(page, address):
    wrong = address.rsplit("/", 2)[0] + "/guessed/"
    assert page.request.get(wrong).status == 403
    assert page.request.get(address.rsplit("/", 2)[0] + "/").status == 403


def test_a_foreign_origin_is_refused(page, address, root):
    video = waiting(root)
    body = json.dumps({"schema": 1})
    refused = page.request.put(
        f"{address}api/layout/{video}", data=body, headers={"origin": "http://evil.example", "if-match": "x"}
    )
    assert refused.status == 403


def test_a_foreign_page_cannot_read_it(chromium, address):
    context = chromium.new_context()
    stranger = context.new_page()
    stranger.goto("data:text/html,<p>elsewhere</p>")
    result = stranger.evaluate(f"fetch('{address}api/queue').then(r => r.status, () => 'refused')")
    assert result in ("refused", 403)
    context.close()
