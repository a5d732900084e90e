"""HTML pages of runs: bars of a table start at one line."""

from fertrain.evaluation import html


def test_bars_start_at_the_left_of_their_column_and_numbers_end_at_the_right():
    table = html.table(("class", "F1", ""), [("fear", "50 %", html.bar(0.5)), ("anger", "90 %", html.bar(0.9))])
    assert table.count('<td class="text"><span class="bar"') == 2
    assert "<td>50 %</td>" in table
    assert "td.text,th.text{text-align:left" in html.page("", [])


def test_text_of_a_table_is_escaped():
    assert "<td>&lt;b&gt;</td>" in html.table(("a",), [("<b>",)])
