"""Small pieces of URDF text for tests."""


def vec(values) -> str:
    return " ".join(repr(float(v)) for v in values)


def inertial(mass=1.0, moments=(0.02, 0.03, 0.04), xyz=(0, 0, 0), rpy=(0, 0, 0)) -> str:
    xx, yy, zz = map(float, moments)
    return (
        f'<inertial><origin xyz="{vec(xyz)}" rpy="{vec(rpy)}"/><mass value="{float(mass)!r}"/>'
        f'<inertia ixx="{xx!r}" iyy="{yy!r}" izz="{zz!r}" ixy="0" ixz="0" iyz="0"/></inertial>'
    )


LIMIT = '<limit lower="-1" upper="2" velocity="3" effort="4"/>'


def joint(name, parent, child, kind="revolute", limit=LIMIT, extra="") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{limit}{extra}</joint>'


def links(*names, **inertials) -> str:
    return "".join(f'<link name="{n}">{inertials.get(n, inertial())}</link>' for n in names)


def robot(*parts: str) -> str:
    return f'<robot name="r">{"".join(parts)}</robot>'


def arm(*extra: str, n: int = 6, mass: str = inertial(2.0, (0.02, 0.02, 0.01), (0, 0, 0.1)), **given: str) -> str:
    """A whole arm of n joints, 0.3 m apart, about z and y in turn; `given` replaces the content of links l1 ... ln."""
    parts = ['<link name="base"/>']
    for k in range(1, n + 1):
        pose = '<origin xyz="0 0 0.3"/><axis xyz="' + ("0 0 1" if k % 3 == 1 else "0 1 0") + '"/>'
        parts.append(f'<link name="l{k}">{given.get(f"l{k}", mass)}</link>')
        parts.append(joint(f"j{k}", f"l{k - 1}" if k > 1 else "base", f"l{k}", limit=ARM_LIMIT, extra=pose))
    return robot(*parts, *extra)


ARM_LIMIT = '<limit lower="-2" upper="2" velocity="2" effort="80"/>'


def shape(role: str, geometry: str, rest: str = "") -> str:
    return f"<{role}><geometry>{geometry}</geometry>{rest}</{role}>"
