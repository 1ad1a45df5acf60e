"""Text files of columns in any dialect: what separates them, how numbers are written, what stands for no value."""

import bz2
import gzip
import io
import sys

import numpy as np
import pyarrow as pa
import pytest

from estep.tables.dialect import Dialect
from estep.tables.table_files import read_columns
from test_cli import check_one_line, run

WANT = {"a": [1.5, np.nan, 3.0], "b": [1000.0, 2.0, -1e-3]}
PLAIN = "a,b\n1.5,1000\n,2\n3,-1e-3\n"


def read(path, **how):
    columns, said = read_columns(path, Dialect(**how))
    return {c.name: c for c in columns}, said


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def assert_wanted(columns):
    assert list(columns) == list(WANT)
    for name, values in WANT.items():
        np.testing.assert_array_equal(columns[name].numbers, values)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_separators_are_found(sep, end, tmp_path):
    columns, said = read(written(tmp_path, PLAIN.replace(",", sep).replace("\n", end)))
    assert_wanted(columns)
    assert not said


def test_blanks_separate_where_nothing_else_does(tmp_path):
    text = "a     b\n1.5  1000\nNA\t2\n  3   -1e-3  \n"
    assert_wanted(read(written(tmp_path, text))[0])
    one, _ = read(written(tmp_path, "city\nNew York\nRome\n"))
    assert one["city"].texts == ["New York", "Rome"]


@pytest.mark.parametrize("sep", [None, ";", "tab"])
def test_decimal_commas_and_thousands(sep, tmp_path):
    text = 'a;b\n1,5;"1.000"\n;2\n3;-1e-3\n'
    text = text.replace(";", "\t") if sep == "tab" else text
    assert_wanted(read(written(tmp_path, text), sep=sep, decimal=",", thousands=".")[0])
    no = read(written(tmp_path, "a;b\n1,5;1.000,25\n2;3\n"), decimal=",", thousands=".")[0]
    np.testing.assert_array_equal(no["b"].numbers, [1000.25, 3])
    spaced = read(written(tmp_path, "a;b\n1 000 000;12 5\n2;3\n"), sep=";", thousands=" ")[0]
    np.testing.assert_array_equal(spaced["a"].numbers, [1e6, 2])
    assert spaced["b"].numbers is None  # 12 5 is no number


def test_several_separators_that_would_do_are_said(tmp_path):
    _, said = read(written(tmp_path, "a;b,c;d\n1;2,3;4\n"))
    assert len(said) == 1 and "';' would do as well" in said[0]
    columns, said = read(written(tmp_path, "a;b,c;d\n1;2,3;4\n"), sep=";")
    assert not said and list(columns) == ["a", "b,c", "d"]


@pytest.mark.parametrize("suffix, pack", [(".gz", gzip.compress), (".bz2", bz2.compress), (".zst", None)])
def test_compressed_files(suffix, pack, tmp_path):
    data = PLAIN.encode()
    packed = pack(data) if pack else pa.compress(data, "zstd", asbytes=True)
    assert_wanted(read(written(tmp_path, packed, f"t.csv{suffix}"))[0])


def test_standard_input(monkeypatch):
    class Input:
        buffer = io.BytesIO(PLAIN.encode())

    monkeypatch.setattr(sys, "stdin", Input)
    columns, _ = read_columns(__import__("pathlib").Path("-"))
    assert_wanted({c.name: c for c in columns})
    assert columns[0].texts == ["1.5", None, "3"]  # asked for later, when the input has been read


def test_numbers_without_a_header(tmp_path):
    columns, said = read(written(tmp_path, "1,2\n3,4\n"))
    assert list(columns) == ["x0", "x1"] and columns["x1"].numbers.tolist() == [2, 4]
    assert "begins with numbers" in said[0]
    columns, said = read(written(tmp_path, "2001,2002\n3,4\n"), header=True)
    assert list(columns) == ["2001", "2002"] and not said


@pytest.mark.parametrize("token", ["N/A", "null", "?", ".", "-"])
def test_what_stands_for_no_value_among_numbers(token, tmp_path):
    path = written(tmp_path, f"a,b\n1,x\n{token},{token}\n3,z\n")
    columns, _ = read(path)
    np.testing.assert_array_equal(columns["a"].numbers, [1, np.nan, 3])
    assert columns["a"].tokens == (token,)
    assert columns["b"].texts == ["x", token, "z"]  # texts are what they are
    assert read(path, na=(token,))[0]["b"].texts == ["x", None, "z"]
    done = run("fit", "gmm", path, "-k", 1, "--columns", "a")
    assert done.returncode == 0 and f"{token!r} is read as no value" in done.stderr


def test_texts_are_as_the_file_has_them(tmp_path):
    columns, _ = read(
        written(tmp_path, 'id,day,flag,big,q\n007,2020-01-01,true,9007199254740993,"a\nb"\n08,2020-01-02,FALSE,1,c\n')
    )
    assert columns["id"].texts == ["007", "08"] and columns["id"].numbers.tolist() == [7, 8]
    assert columns["day"].texts == ["2020-01-01", "2020-01-02"] and columns["day"].kept_out == "dates"
    assert columns["flag"].numbers.tolist() == [1, 0]
    assert columns["big"].texts[0] == "9007199254740993"
    assert columns["q"].texts == ["a\nb", "c"]


@pytest.mark.parametrize(
    "text, message",
    [
        (b"a,b\n1,2\n3\n", "row 1 has 1 fields, the header 2"),
        (b"a,b\n1,2\n3,4,5\n", "row 1 has 3 fields, the header 2"),
        (b"a,b\n1,2\n\n3,4\n", "line 3 is blank"),
        (b'a,b\n1,x\n2,"y\n3,x\n', "a quote not closed"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
        (b"a,a\n1,2\n", "two columns of one name"),
        (b"a;b\n1,5;2\n2;3\n", "decimal commas are read with --decimal ,"),
        (b"   \n", "is empty"),
    ],
)
def test_what_is_wrong_is_named(text, message, tmp_path):
    check_one_line(run("fit", "gmm", written(tmp_path, text), "-k", 1, "--columns", "a"), message)


def test_a_row_of_another_width_among_blanks(tmp_path):
    with pytest.raises(ValueError, match="row 1 has 1 fields, the header 2"):
        read(written(tmp_path, "a b\n1 2\n3\n4 5\n"), sep="space")


def test_blank_lines_at_the_end_are_nothing(tmp_path):
    assert read(written(tmp_path, "a,b\n1,2\n3,4\n\n\n"))[0]["a"].numbers.tolist() == [1, 3]
    explicit = read(written(tmp_path, "a,b\n1,2\n,\n"))[0]
    np.testing.assert_array_equal(explicit["a"].numbers, [1, np.nan])


@pytest.mark.parametrize("how", [{"sep": "ab"}, {"sep": "x"}, {"decimal": ",", "sep": ","}, {"thousands": "."}])
def test_dialects_that_cannot_be(how):
    with pytest.raises(ValueError, match="one character|decimal sign"):
        Dialect(**how)


def test_options_of_the_command_line(tmp_path):
    path = written(tmp_path, "a;b\n1,5;x\n2,5;y\nmiss;z\n4,5;w\n")
    how = ("--decimal", ",", "--na", "miss")
    done = run("fit", "gmm", path, "-k", 1, "--columns", "a", *how, "--json", "-o", tmp_path / "m.json")
    assert done.returncode == 0, done.stderr
    assert '"means": [[2.83333' in done.stdout
    scored = run("score", tmp_path / "m.json", path, *how)
    assert scored.returncode == 0, scored.stderr
