"""The menu says where one is, also on the lists below what it names."""

import re

import pytest

from tests.portal.conftest import As

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/", "Home"),
        ("/policies", "Policies"),
        ("/policies-catalogue", "Policies"),
        ("/celrules", "Policies"),
        ("/new-celrule", "Policies"),
        ("/findings", "Policies"),
        ("/definitions", "Definitions"),
        ("/definitions/published", "Definitions"),
        ("/clusters", "Clusters"),
    ],
)
def test_it_marks_the_entry_that_a_page_belongs_to(people, as_: As, path, entry):
    page = as_("olga").get(path)
    assert page.status_code == 200
    items = re.findall(r'<a class="nav-link"(.*?)</a>', page.content.decode(), re.DOTALL)
    current = [item for item in items if 'aria-current="page"' in item]
    assert [re.search(r"<span>(.*?)</span>", item)[1] for item in current] == [entry]
